/** How many times more than in `npm test` a test tries at random: a `*.long.test.ts` that runs it again says so. */
export const EFFORT = Number(process.env['TAPELINE_TEST_EFFORT'] ?? 1)
