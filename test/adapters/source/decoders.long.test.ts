process.env['TAPELINE_TEST_EFFORT'] = '3'
await import('./decoders.test.ts')
