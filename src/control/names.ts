/** The consumer groups of the platform, as consoles and lag exporters show them (R7). */
export const GROUPS = {
  producers: 'tapeline.producers',
  coordinators: 'tapeline.coordinators',
  consumersFixed: 'tapeline.consumers-fixed',
} as const

/** The transactional id of the owner of a source shard (R8). */
export function shardId(k: number): string {
  return `tapeline.shard.${k}`
}
