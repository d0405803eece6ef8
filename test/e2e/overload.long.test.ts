process.env['TAPELINE_TEST_EFFORT'] = '10'
await import('./overload.test.ts')
