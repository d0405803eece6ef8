import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

/** A worker thread that answers each message with one, in order; asked one thing at a time. */
export class BaselineThread<Question, Answer> {
  readonly #worker: Worker

  private constructor(worker: Worker) {
    this.#worker = worker
  }

  /** Starts the script in the folder and waits for its first message, which says that it is ready. */
  static async start<Question, Answer>(
    script: URL,
    folder: string,
  ): Promise<BaselineThread<Question, Answer>> {
    const worker = new Worker(script, { workerData: folder })
    await once(worker, 'message')
    return new BaselineThread(worker)
  }

  /** Rejects with what the script raised. */
  async ask(question: Question): Promise<Answer> {
    const answered = once(this.#worker, 'message')
    this.#worker.postMessage(question)
    const [answer]: Answer[] = await answered
    return answer as Answer
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }
}
