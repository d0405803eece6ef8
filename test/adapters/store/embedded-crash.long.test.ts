process.env['TAPELINE_TEST_EFFORT'] = '4'
await import('./embedded-crash.test.ts')
