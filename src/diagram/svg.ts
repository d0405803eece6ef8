/** Draws DOT source with Graphviz, in WebAssembly: loaded when the first picture is drawn. */
export async function drawSvg(dot: string): Promise<string> {
  const { instance } = await import('@viz-js/viz')
  const viz = await instance()
  return viz.renderString(dot, { format: 'svg', engine: 'dot' })
}
