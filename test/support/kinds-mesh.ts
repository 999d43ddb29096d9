/**
 * A mesh with real servers behind it, for tests of each section with each kind of call: policies as documents over the wire, one
 * callee with two instances (`inventory`, the second only where a test asks for it) and another service to fall back to. Or the
 * other way round: the first server is the mesh's own, and its clients know of no policy.
 */
import { type Client, credentials } from '@grpc/grpc-js';
import { SELF } from '../../agent/callee-name.js';
import type { Decision } from '../../agent/decisions.js';
import type { BulkheadView } from '../../agent/views.js';
import { connect, type Mesh } from '../../sdk/index.js';
import { type FakeControlPlane, fakeControlPlane, wirePolicy } from './fake-control-plane.js';
import { type Asking, ask, type Calling, type CallKind, KindsClient, KindsServer } from './kinds.js';
import { keptLogger } from './logs.js';
import { until } from './until.js';

export interface Rest {
  readonly mode?: 'shadow' | 'off';
  readonly method?: string;
}

export class KindsMesh {
  readonly second = new KindsServer();
  readonly replica = new KindsServer();
  /** `<kind> <code>` of each since the last `apply`. */
  readonly decisions: string[] = [];
  /** What was said with each. */
  readonly texts: string[] = [];
  #revision = 1;
  #name = 0;
  /** Policy of `self` that was applied last. */
  #ofSelf: string | undefined;
  readonly #clients: Client[] = [];

  private constructor(
    readonly mesh: Mesh,
    readonly fake: FakeControlPlane,
    readonly server: KindsServer,
  ) {
    mesh.on('decision', ({ kind, code, text }: Decision) => {
      this.decisions.push(`${kind} ${code}`);
      this.texts.push(text);
    });
  }

  /** `inbound`: the server is this service's own, and asks the mesh about the calls into it. */
  static async start({ inbound = false } = {}): Promise<KindsMesh> {
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
    const server = new KindsServer(inbound ? { interceptors: [mesh.serverInterceptor()] } : {});
    const made = new KindsMesh(mesh, fake, server);
    await Promise.all([made.server.start(), made.second.start(), made.replica.start()]);
    return made;
  }

  /** A callee that nobody has called before, under this spec alone. */
  async callee(spec: object, rest: Rest & { instances?: 2 } = {}): Promise<Callee> {
    const name = `callee-${++this.#name}`;
    const callee = new Callee(this, name, name, this.#kept(this.mesh.client(KindsClient, name)));
    const stream = await this.fake.stream(0);
    const instances = [this.server.address, ...(rest.instances ? [this.second.address] : [])];
    stream.endpoints(callee.name, instances);
    stream.endpoints('replica', [this.replica.address]);
    this.server.play(['ok']);
    await callee.apply(spec, rest);
    return callee;
  }

  /** The service itself, called as from outside, under this spec alone, of which nothing is left of former calls. */
  async inbound(spec: object, rest: Rest = {}): Promise<Callee> {
    const client = new KindsClient(this.server.address, credentials.createInsecure());
    const callee = new Callee(this, SELF, `inbound-${++this.#name}`, this.#kept(client));
    await this.fake.stream(0);
    this.server.play(['ok']);
    await callee.apply(spec, rest);
    return callee;
  }

  async apply(policy: string, to: string, spec: object, { mode, method }: Rest): Promise<void> {
    const revision = ++this.#revision;
    const match = { to, ...(method === undefined ? {} : { method }) };
    const document = { match, spec, ...(mode === undefined ? {} : { mode }) };
    const removals =
      to === SELF && this.#ofSelf !== undefined && this.#ofSelf !== policy ? [this.#ofSelf] : [];
    if (to === SELF) this.#ofSelf = policy;
    this.fake.streams[0]?.delta({ revision, removals, upserts: [wirePolicy(policy, revision, document)] });
    await until(() => this.mesh.status().revision === revision, { what: `revision ${revision}` });
    this.decisions.length = this.texts.length = 0;
  }

  #kept(client: Client): Client {
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
  constructor(
    readonly kit: KindsMesh,
    readonly name: string,
    readonly policy: string,
    private readonly client: Client,
  ) {}

  apply(spec: object, rest: Rest = {}): Promise<void> {
    return this.kit.apply(this.policy, this.name, spec, rest);
  }

  ask(kind: CallKind, asking?: Asking): Calling {
    return ask(this.client, kind, asking);
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

  /** So many calls stand in its line. */
  async inLine(calls: number): Promise<void> {
    await until(() => this.bulkhead?.queued === calls, { what: `${calls} in line` });
  }

  get bulkhead(): BulkheadView | undefined {
    return this.mesh.stats()[this.name]?.bulkheads[0];
  }

  get circuit(): string {
    return this.mesh.circuit(this.name).state;
  }

  private get mesh(): Mesh {
    return this.kit.mesh;
  }
}
