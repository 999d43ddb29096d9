/**
 * A wire between us and a server that a test can cut, stall and close at the worst moment: after a request has arrived and been
 * carried out, before its answer has come back.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** The request that was waited for has gone through: the answer will not. */
  doomed: boolean;
}

export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #cut: { text: string; times: number } = { text: '', times: 0 };
  #stalled = false;
  #refusing = false;
  /** Answers that were cut. */
  cuts = 0;

  private constructor(port: number, host: string) {
    this.#server = createServer((client) => this.#accept(client, port, host));
  }

  static async start(port: number, host = '127.0.0.1'): Promise<TcpProxy> {
    const proxy = new TcpProxy(port, host);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy is closed');
    return address.port;
  }

  /** The next `times` requests that contain `text` reach the server; their connections break when the answer comes. */
  cutAnswerTo(text: string, times = 1): void {
    this.#cut = { text, times };
  }

  /** Connections stay open, new ones are accepted, and nothing passes in either direction. */
  stall(): void {
    this.#stalled = true;
    for (const { client, server } of this.#pairs) {
      client.pause();
      server.pause();
    }
  }

  /** What was held up passes on. */
  resume(): void {
    this.#stalled = false;
    for (const { client, server } of this.#pairs) {
      client.resume();
      server.resume();
    }
  }

  /** Breaks all connections; the next ones are refused until `allow`. */
  refuse(): void {
    this.#refusing = true;
    this.breakAll();
  }

  allow(): void {
    this.#refusing = false;
  }

  breakAll(): void {
    for (const pair of this.#pairs) this.#break(pair);
  }

  async close(): Promise<void> {
    this.refuse();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket, port: number, host: string): void {
    client.on('error', () => {});
    if (this.#refusing) {
      client.resetAndDestroy();
      return;
    }
    const server = connect(port, host);
    server.on('error', () => {});
    const pair: Pair = { client, server, doomed: false };
    this.#pairs.add(pair);
    if (this.#stalled) {
      client.pause();
      server.pause();
    }
    client.on('data', (data) => {
      if (this.#cut.times > 0 && data.includes(this.#cut.text)) {
        this.#cut.times -= 1;
        pair.doomed = true;
      }
      server.write(data);
    });
    server.on('data', (data) => {
      if (!pair.doomed) return void client.write(data);
      this.cuts += 1;
      this.#break(pair);
    });
    client.on('close', () => this.#break(pair));
    server.on('close', () => this.#break(pair));
  }

  #break(pair: Pair): void {
    this.#pairs.delete(pair);
    pair.client.destroy();
    pair.server.destroy();
  }
}
