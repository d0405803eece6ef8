import type { TopicDescription } from './broker.ts'

/** Dynamic topics that belong to no stream. The platform leaves them alone; a person may remove them by name. */
export interface TopicDesk {
  /** Topics whose names look like this platform's and that its registry does not know. */
  unknown(signal: AbortSignal): Promise<readonly TopicDescription[]>
  /** Removes one of them. Raises INPUT_INVALID, TOPIC_UNKNOWN, TOPIC_IN_USE, UPGRADE_NEEDED. */
  remove(name: string, signal: AbortSignal): Promise<TopicDescription>
}
