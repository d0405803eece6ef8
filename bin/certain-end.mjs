/**
 * Loaded into each process of the platform and of its tests: once a process is done, and nothing keeps it alive, it ends at once. By itself Node
 * closes first what is still open, waiting without a deadline: once in some thousand processes it span there for ever (v24.21,
 * `Environment::CleanupHandles`), where neither a signal handler nor a timer is reached. What is left open keeps a process alive as before.
 */
process.once('beforeExit', () => process.on('exit', () => process.exit()))
