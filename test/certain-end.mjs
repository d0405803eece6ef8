/**
 * Loaded into each process of tests: once these are done, and nothing keeps the process alive, it ends at once. By itself Node closes first
 * what is still open, waiting without a deadline: once in some thousand processes it span there for ever (v24.21, `Environment::CleanupHandles`),
 * and the run with it. What a test leaves open keeps its process alive as before.
 */
process.once('beforeExit', () => process.on('exit', () => process.exit()))
