import type { StreamEvent, StreamRequest } from '../src/client/index.ts'
import { client } from './api.ts'

/** Reads a stream of a view's own until the view is left. One that has ended meanwhile, as while the computer slept, is made anew. */
export async function follow<const C extends 'trade' | 'quote' | 'book'>(
  request: StreamRequest<C>,
  signal: AbortSignal,
  onEvent: (event: StreamEvent<C>) => void,
): Promise<void> {
  while (!signal.aborted) {
    for await (const event of client().stream(request, { signal })) {
      if (event.type === 'end') break
      if (event.type === request.channel) onEvent(event as StreamEvent<C>)
    }
  }
}
