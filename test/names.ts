import { platformNames } from '../src/control/names.ts'

/** The names of a platform whose prefixes are those of the defaults. */
export const NAMES = platformNames({ prefix: 'market', dynamicPrefix: 'app', controlPrefix: 'tapeline' })
