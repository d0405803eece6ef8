import { z } from 'zod'

/** Names that mean more than one application: who may do everything, and everybody where no keys are configured. */
const RESERVED = ['admin', 'local']

/** The name of an application, as it stands in leases: `bot-1`. */
export const appNameSchema = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, 'is not 1 to 32 lower-case letters, digits and dashes, a letter first')
  .refine((name) => !RESERVED.includes(name), 'is not a name that an application may have')
