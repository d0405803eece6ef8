/**
 * The events that a machine raises when the service of a step has ended. Whoever holds an actor may send it any event. WRITE_SUCCESS from outside
 * would end the step, and drop a batch that is not written. So a machine takes as outcomes only the very objects that it has made here.
 */
const raised = new WeakSet<object>()

/** An outcome, to be raised where a service has ended. */
export function outcome<const E extends { readonly type: string }>(event: E): E {
  raised.add(event)
  return event
}

/** The guard of every transition on an outcome: an event of the same type from outside changes nothing. */
export function isRaised({ event }: { readonly event: object }): boolean {
  return raised.has(event)
}
