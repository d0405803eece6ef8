process.env['TAPELINE_TEST_EFFORT'] = '10'
await import('./row-stream.alone.test.ts')
