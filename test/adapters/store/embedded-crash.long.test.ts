process.env['TAPELINE_TEST_EFFORT'] = '8'
await import('./embedded-crash.test.ts')
