import { platformNames } from '../../src/control/names.ts'

/** What the platform of a world calls its own: the names of the defaults. */
export const NAMES = platformNames({ prefix: 'market', dynamicPrefix: 'app', controlPrefix: 'tapeline' })
