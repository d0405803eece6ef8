process.env['TAPELINE_TEST_EFFORT'] = '5'
await import('./takeover.test.ts')
