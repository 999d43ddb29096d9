/**
 * A reader of server-sent events, as a browser's EventSource or a script would be: it follows the stream, splits it into events,
 * and lets a test wait for the next one. It understands what the format allows and no more.
 */
import { type IncomingMessage, request } from 'node:http';
import { until } from './until.js';

export interface ReadEvent {
  readonly id: string;
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests reach into events of every shape
  readonly data: any;
}

export class EventReader {
  readonly events: ReadEvent[] = [];
  readonly comments: string[] = [];
  ended = false;
  #taken = 0;
  #rest = '';
  readonly #response: IncomingMessage;

  private constructor(response: IncomingMessage) {
    this.#response = response;
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => this.#read(chunk));
    response.on('close', () => {
      this.ended = true;
    });
    response.on('error', () => {});
  }

  /** Resolves once the stream is open, with its first comment read. */
  static async open(url: string, headers: Record<string, string> = {}): Promise<EventReader> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request(url, { headers, agent: false }, resolve).on('error', reject).end();
    });
    const reader = new EventReader(response);
    if (response.statusCode !== 200) throw new Error(`events answered ${response.statusCode}`);
    await until(() => reader.comments.length > 0, { what: 'the greeting of the event stream' });
    return reader;
  }

  get contentType(): string | undefined {
    return this.#response.headers['content-type'];
  }

  /** The next event that was not taken yet, of this type if one is named. */
  async next(type?: string): Promise<ReadEvent> {
    return until(
      () => {
        while (this.#taken < this.events.length) {
          const event = this.events[this.#taken++];
          if (event && (type === undefined || event.type === type)) return event;
        }
        return undefined;
      },
      { what: `an event${type === undefined ? '' : ` of type ${type}`}` },
    );
  }

  /** Reads no more until `resume`: a slow reader. */
  pause(): void {
    this.#response.pause();
  }

  close(): void {
    this.#response.destroy();
  }

  #read(chunk: string): void {
    const blocks = (this.#rest + chunk).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = new Map<string, string>();
      for (const line of block.split('\n')) {
        const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
        if (name === '') this.comments.push(value);
        else fields.set(name, value);
      }
      const data = fields.get('data');
      if (data === undefined) continue;
      this.events.push({
        id: fields.get('id') ?? '',
        type: fields.get('event') ?? '',
        data: JSON.parse(data),
      });
    }
  }
}
