process.env['TAPELINE_TEST_EFFORT'] = '2'
await import('./client.test.ts')
