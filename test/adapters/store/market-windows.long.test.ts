process.env['TAPELINE_TEST_EFFORT'] = '4'
await import('./market-windows.test.ts')
