/** What the REST face says of itself: OpenAPI with every route of the design, a page that asks nobody else, and metrics. */
import { expect } from 'chai';
import { policy, type Running, startRest } from '../support/rest.js';

const routes = [
  'delete /v1/circuits/{id}/override',
  'delete /v1/freeze',
  'delete /v1/policies/{name}',
  'get /healthz',
  'get /metrics',
  'get /openapi.json',
  'get /readyz',
  'get /v1/agents',
  'get /v1/agents/{id}',
  'get /v1/audit',
  'get /v1/brownout',
  'get /v1/circuits',
  'get /v1/circuits/{id}',
  'get /v1/events',
  'get /v1/explain',
  'get /v1/export',
  'get /v1/freeze',
  'get /v1/policies',
  'get /v1/policies/{name}',
  'get /v1/policies/{name}/revisions',
  'get /v1/policies/{name}/revisions/{revision}',
  'get /v1/policies/{name}/status',
  'get /v1/services',
  'get /v1/services/{name}',
  'post /v1/apply',
  'post /v1/policies/{name}/rollback',
  'post /v1/validate',
  'put /v1/brownout',
  'put /v1/circuits/{id}/override',
  'put /v1/freeze',
  'put /v1/policies/{name}',
];

interface OpenApiOperation {
  readonly summary: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required: boolean }[];
  readonly responses: Record<
    string,
    { readonly description: string; readonly content?: Record<string, unknown> }
  >;
  readonly security?: readonly object[];
}

describe('what REST says of itself', () => {
  let sg: Running;
  before(async () => {
    sg = await startRest();
    await sg.put('/v1/policies/inv', policy('inv'));
  });
  after(() => sg.close());

  describe('OpenAPI', () => {
    // biome-ignore lint/suspicious/noExplicitAny: a document of a foreign format
    let document: any;
    let operations: [string, OpenApiOperation][];
    before(async () => {
      document = (await sg.get('/openapi.json')).body;
      operations = Object.entries(document.paths as Record<string, Record<string, OpenApiOperation>>).flatMap(
        ([path, methods]) =>
          Object.entries(methods).map(([method, operation]): [string, OpenApiOperation] => [
            `${method} ${path}`,
            operation,
          ]),
      );
    });

    it('has every route of the design and no other', () => {
      expect(document.openapi).to.equal('3.1.0');
      expect(operations.map(([name]) => name).sort()).to.deep.equal(routes);
    });

    it('describes each with a summary, its path parameters, a success and its problems', () => {
      const tags = document.tags.map(({ name }: { name: string }) => name);
      for (const [name, { summary, tags: own, parameters = [], responses }] of operations) {
        expect(summary, name).to.match(/\w{3}/);
        expect(tags, name).to.include.members([...own]);
        const inPath = [...name.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
        const declared = parameters.filter((parameter) => parameter.in === 'path');
        expect(
          declared.map((parameter) => parameter.name),
          name,
        ).to.deep.equal(inPath);
        expect(
          declared.every(({ required }) => required),
          name,
        ).to.equal(true);
        expect(Object.keys(responses), name).to.include('200');
        for (const [status, { description, content = {} }] of Object.entries(responses)) {
          expect(description, `${name} ${status}`).to.match(/\w{3}/);
          if (Number(status) >= 400) expect(Object.keys(content)).to.deep.equal(['application/problem+json']);
        }
      }
    });

    it('has no reference that leads nowhere', () => {
      const found: string[] = [];
      const walk = (value: unknown): void => {
        if (typeof value !== 'object' || value === null) return;
        for (const [key, inner] of Object.entries(value))
          if (key === '$ref' && typeof inner === 'string') found.push(inner);
          else walk(inner);
      };
      walk(document);
      expect(new Set(found))
        .to.include('#/components/schemas/Policy')
        .and.include('#/components/schemas/Problem');
      for (const reference of new Set(found)) {
        let target: unknown = document;
        for (const part of reference.replace(/^#\//, '').split('/'))
          target = (target as Record<string, unknown>)?.[part];
        expect(target, reference).to.be.an('object');
      }
    });

    it("gives a policy the parser's own schema", () => {
      const { properties, required } = document.components.schemas.Policy;
      expect(properties).to.include.keys('policy', 'match', 'mode', 'spec', 'rollout');
      expect(required).to.include('match');
      expect(properties.spec.properties).to.include.keys('timeout', 'circuit', 'bulkhead', 'retry');
    });

    it('asks for a token where one is needed', () => {
      expect(document.security).to.deep.equal([{ token: [] }]);
      const open = operations.filter(([, { security }]) => security?.length === 0).map(([name]) => name);
      expect(open.sort()).to.deep.equal(['get /healthz', 'get /openapi.json', 'get /readyz']);
    });
  });

  it('has a page whose assets are all its own', async () => {
    const page = await sg.get('/docs');
    expect(page.status).to.equal(200);
    expect(page.headers.get('content-security-policy')).to.include("default-src 'self'");
    const assets = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, asset = '']) => asset);
    expect(assets.length).to.be.greaterThan(3);
    for (const asset of assets) {
      expect(asset).to.match(/^\/docs\//);
      expect((await sg.get(asset)).status, asset).to.equal(200);
    }
    const initializer = await sg.get('/docs/static/swagger-initializer.js');
    expect(initializer.text.replace(/\/\/.*/g, '')).not.to.match(/https?:/);
  });

  describe('metrics', () => {
    const scrape = async () => (await sg.get('/metrics')).text;
    const value = (text: string, name: string, ...labels: string[]) => {
      const line = text
        .split('\n')
        .find((one) => new RegExp(`^${name}[{ ]`).test(one) && labels.every((label) => one.includes(label)));
      return line === undefined ? undefined : Number(line.split(' ').at(-1));
    };

    it('count writes by what came of them', async () => {
      const counted = async () => {
        const text = await scrape();
        const count = (result: string) =>
          value(text, 'switchgear_writes_total', 'action="put"', `result="${result}"`) ?? 0;
        return { changed: count('changed'), unchanged: count('unchanged'), conflict: count('conflict') };
      };
      const before = await counted();
      await sg.put('/v1/policies/inv', policy('inv', { spec: {} }));
      await sg.put('/v1/policies/inv', policy('inv', { spec: {} }));
      await sg.put('/v1/policies/inv', policy('inv'), { 'if-match': '"99"' });
      expect(await counted()).to.deep.equal({
        changed: before.changed + 1,
        unchanged: before.unchanged + 1,
        conflict: before.conflict + 1,
      });
    });

    it('tell the state of the replica, the process and its event loop', async () => {
      const text = await scrape();
      expect(value(text, 'switchgear_store_up')).to.equal(1);
      expect(value(text, 'switchgear_policies')).to.equal(1);
      expect(value(text, 'switchgear_agents_connected')).to.equal(0);
      expect(value(text, 'switchgear_revision')).to.be.greaterThan(0);
      for (const name of [
        'process_resident_memory_bytes',
        'nodejs_eventloop_lag_p99_seconds',
        'switchgear_pushes_total',
      ])
        expect(value(text, name), name).to.be.a('number');
      expect(text).to.include(`replica="${sg.plane.replica}"`);
    });

    it('time requests by route, so that no name makes a series', async () => {
      for (let n = 0; n < 20; n++) {
        await sg.get(`/v1/policies/hostile-${n}`);
        await sg.get(`/nowhere/hostile-${n}`);
      }
      const text = await scrape();
      expect(text).not.to.include('hostile');
      expect(
        value(
          text,
          'switchgear_rest_request_duration_seconds_count',
          'route="/v1/policies/:name"',
          'status="404"',
        ),
      ).to.equal(20);
      expect(
        value(text, 'switchgear_rest_request_duration_seconds_count', 'route="none"', 'status="404"'),
      ).to.equal(20);
    });

    it('of two control planes in one process do not add up', async () => {
      const other = await startRest();
      try {
        const { text } = await other.get('/metrics');
        expect(value(text, 'switchgear_policies')).to.equal(0);
        expect(value(text, 'switchgear_writes_total')).to.equal(undefined);
        expect(value(text, 'process_resident_memory_bytes')).to.be.a('number');
      } finally {
        await other.close();
      }
    });
  });
});
