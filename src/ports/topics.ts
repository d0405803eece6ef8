import type { TopicDescription } from './broker.ts'

/** Dynamic topics that no stream accounts for: the platform leaves them alone, and a person may remove them by name. */
export interface TopicDesk {
  /** Those that have a name as this platform gives them and that its registry does not know. */
  unknown(signal: AbortSignal): Promise<readonly TopicDescription[]>
  /** Removes one of them. Raises INPUT_INVALID, TOPIC_UNKNOWN, TOPIC_IN_USE, UPGRADE_NEEDED. */
  remove(name: string, signal: AbortSignal): Promise<TopicDescription>
}
