/** The seed of a random test: from TAPELINE_SEED, else a new one. Tests print it in their names. */
export const SEED = Number(process.env['TAPELINE_SEED'] ?? Date.now() % 1_000_000_000)
