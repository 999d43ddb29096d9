/**
 * A mesh with real servers behind it, for tests of each section with each kind of call: policies as documents over the wire, one
 * callee with two instances (`inventory`, the second only where a test asks for it) and another service to fall back to.
 */
import type { Decision } from '../../agent/decisions.js';
import { connect, type Mesh } from '../../sdk/index.js';
import { type FakeControlPlane, fakeControlPlane, wirePolicy } from './fake-control-plane.js';
import { type Asking, ask, type Calling, type CallKind, KindsClient, KindsServer } from './kinds.js';
import { keptLogger } from './logs.js';
import { until } from './until.js';

export class KindsMesh {
  readonly server = new KindsServer();
  readonly second = new KindsServer();
  readonly replica = new KindsServer();
  /** `<kind> <code>` of each since the last `apply`. */
  readonly decisions: string[] = [];
  /** What was said with each. */
  readonly texts: string[] = [];
  #revision = 1;
  #name = 0;
  readonly #clients: InstanceType<typeof KindsClient>[] = [];

  private constructor(
    readonly mesh: Mesh,
    readonly fake: FakeControlPlane,
  ) {
    mesh.on('decision', ({ kind, code, text }: Decision) => {
      this.decisions.push(`${kind} ${code}`);
      this.texts.push(text);
    });
  }

  static async start(): Promise<KindsMesh> {
    const fake = await fakeControlPlane();
    fake.onStream = (stream) => {
      stream.welcome();
      stream.delta();
    };
    const logger = keptLogger();
    const mesh = await connect({
      service: 'checkout',
      controlPlane: fake.address,
      callees: [],
      snapshot: false,
      logger,
    });
    const made = new KindsMesh(mesh, fake);
    await Promise.all([made.server.start(), made.second.start(), made.replica.start()]);
    return made;
  }

  /** A callee that nobody has called before, under this spec alone. */
  async callee(
    spec: object,
    rest: { mode?: 'shadow'; method?: string; instances?: 2 } = {},
  ): Promise<Callee> {
    const callee = new Callee(this, `callee-${++this.#name}`);
    const stream = await this.fake.stream(0);
    const instances = [this.server.address, ...(rest.instances ? [this.second.address] : [])];
    stream.endpoints(callee.name, instances);
    stream.endpoints('replica', [this.replica.address]);
    this.server.play(['ok']);
    await callee.apply(spec, rest);
    return callee;
  }

  async apply(to: string, spec: object, { mode, method }: { mode?: string; method?: string }): Promise<void> {
    const revision = ++this.#revision;
    const match = { to, ...(method === undefined ? {} : { method }) };
    const document = { match, spec, ...(mode === undefined ? {} : { mode }) };
    this.fake.streams[0]?.delta({ revision, upserts: [wirePolicy(to, revision, document)] });
    await until(() => this.mesh.status().revision === revision, { what: `revision ${revision}` });
    this.decisions.length = this.texts.length = 0;
  }

  client(name: string) {
    const client = this.mesh.client(KindsClient, name);
    this.#clients.push(client);
    return client;
  }

  /** What this test began ends. */
  endAll(): void {
    for (const server of [this.server, this.second, this.replica]) server.open();
    for (const client of this.#clients.splice(0)) client.close();
  }

  async stop(): Promise<void> {
    this.endAll();
    await this.mesh.close();
    this.fake.stop();
    for (const server of [this.server, this.second, this.replica]) server.stop();
  }
}

export class Callee {
  readonly #client: InstanceType<typeof KindsClient>;

  constructor(
    readonly kit: KindsMesh,
    readonly name: string,
  ) {
    this.#client = kit.client(name);
  }

  apply(spec: object, rest: { mode?: 'shadow'; method?: string } = {}): Promise<void> {
    return this.kit.apply(this.name, spec, rest);
  }

  ask(kind: CallKind, asking?: Asking): Calling {
    return ask(this.#client, kind, asking);
  }

  call(kind: CallKind, asking?: Asking) {
    return this.ask(kind, asking).ended;
  }

  /** A call that has reached its callee, and has answered its first message if that streams and the script says so. */
  async under(kind: CallKind, asking?: Asking & { message?: boolean }): Promise<Calling> {
    const { attempts } = this.kit.server;
    const before = attempts.length;
    const calling = this.ask(kind, asking);
    await until(() => attempts.length > before, { what: 'the attempt' });
    if (asking?.message) await calling.begun;
    return calling;
  }

  get circuit(): string {
    return this.mesh.circuit(this.name).state;
  }

  private get mesh(): Mesh {
    return this.kit.mesh;
  }
}
