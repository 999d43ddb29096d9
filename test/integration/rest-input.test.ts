/** Whatever a client sends: a clear 4xx problem with its place, nothing written, and the next request served. */
import { connect } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { problemSchema } from '../../control-plane/rest/operation.js';
import { property } from '../support/property.js';
import { type Answer, issuesOf, policy, type Running, startRest } from '../support/rest.js';

const MIB = 1024 * 1024;
const json = { 'content-type': 'application/json' };
const path = '/v1/policies/inventory-default';

function nested(depth: number, open: string, close: string): string {
  return open.repeat(depth) + close.repeat(depth);
}

describe('hostile input over REST', () => {
  let sg: Running;
  before(async () => {
    sg = await startRest();
  });
  after(() => sg.close());
  afterEach('nothing was written and the process lives', async () => {
    expect((await sg.get('/v1/policies')).body.policies).to.deep.equal([]);
  });

  /** The document holds to its schema, says its own status, and is served as what it is. */
  function problem(answer: Answer, status: number, code: string): void {
    expect(answer.text).to.include(code);
    expect(answer.status).to.equal(status);
    expect(answer.headers.get('content-type')).to.equal('application/problem+json; charset=utf-8');
    expect(problemSchema.strict().parse(answer.body)).to.include({ status, code });
    expect(answer.body.type).to.equal(`urn:switchgear:error:${code}`);
  }

  for (const [what, body] of [
    ['cut short', '{"policy": "inventory-default", '],
    ['of another language', '<policy/>'],
    ['empty', ''],
    ['followed by something', '{} {}'],
  ] as const)
    it(`refuses JSON that is ${what}`, async () => {
      problem(await sg.put(path, body, json), 400, 'invalid_request');
    });

  it('refuses YAML that is malformed, with its line', async () => {
    const answer = await sg.put(path, 'policy: inventory-default\nmatch: { to: inventory\nspec: x\n');
    problem(answer, 422, 'invalid_policy');
    expect(issuesOf(answer).join()).to.match(/line \d/);
  });

  it('refuses bytes that are no UTF-8', async () => {
    problem(
      await sg.send('PUT', path, { body: new Uint8Array([0x7b, 0xff, 0xfe, 0x7d]), headers: json }),
      400,
      'invalid_request',
    );
  });

  it('refuses a body above 1 MiB, announced or not', async () => {
    const large = `# ${'x'.repeat(MIB)}\n`;
    problem(await sg.put(path, large), 413, 'payload_too_large');
    const status = await raw(
      sg,
      `PUT ${path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/yaml\r\ntransfer-encoding: chunked\r\n\r\n${(MIB + 1).toString(16)}\r\n${'x'.repeat(MIB + 1)}\r\n0\r\n\r\n`,
    );
    expect(status).to.include('413').and.include('payload_too_large');
  });

  for (const [what, body, headers] of [
    ['JSON lists', nested(500_000, '[', ']'), json],
    ['JSON objects', nested(100_000, '{"a":', '}').replace(/:\}/, ':1}'), json],
    ['an open YAML flow', '['.repeat(500_000), {}],
    ['YAML sequences', `${'- '.repeat(300_000)}x`, {}],
    [
      'a policy',
      JSON.stringify(policy('inventory-default')).replace('"800ms"', nested(1000, '[', ']')),
      json,
    ],
  ] as const)
    it(`refuses ${what} nested deeply`, async () => {
      const answer = await sg.put(path, body, headers);
      problem(answer, 422, 'invalid_policy');
      expect(answer.body.issues.length).to.be.greaterThan(0);
    });

  it('refuses YAML aliases that unfold without end', async () => {
    const levels = Array.from(
      { length: 12 },
      (_, n) => `l${n + 1}: &l${n + 1} [${`*l${n}, `.repeat(9)}*l${n}]`,
    );
    const answer = await sg.put(path, `l0: &l0 [x, x]\n${levels.join('\n')}\n`);
    problem(answer, 422, 'invalid_policy');
  });

  for (const key of ['__proto__', 'constructor', 'prototype'])
    it(`names ${key} wherever it stands`, async () => {
      const whole = await sg.put(
        path,
        `{"policy":"inventory-default","match":{"to":"a"},"${key}":{"x":1}}`,
        json,
      );
      problem(whole, 422, 'invalid_policy');
      expect(issuesOf(whole).join()).to.include(`${key}: is not allowed`);
      const inside = await sg.post(
        '/v1/apply',
        `policy: a\nmatch: { to: a }\nspec: { circuit: { ${key}: 1 } }\n`,
      );
      problem(inside, 422, 'invalid_policy');
      expect(issuesOf(inside).join()).to.include(`spec.circuit.${key}`);
      problem(await sg.post(`${path}/rollback`, `{"to":1,"${key}":1}`, json), 400, 'invalid_request');
      problem(await sg.get(`/v1/explain?to=a&${key}=1`), 400, 'invalid_request');
      expect(({} as Record<string, unknown>).x).to.equal(undefined);
    });

  it('names every unknown field and every fault of form and of sense in one answer', async () => {
    const answer = await sg.put(path, {
      policy: 'inventory-default',
      match: { to: 'inventory', form: 'checkout' },
      spec: { timeout: 800, circuit: { window: { calls: 10 }, minimumCalls: 50 }, hedge: { delay: '10ms' } },
    });
    problem(answer, 422, 'invalid_policy');
    const lines = issuesOf(answer).join('\n');
    expect(lines).to.match(/^match\.form: .*from/m);
    expect(lines).to.match(/^spec\.timeout: .*800/m);
    expect(lines).to.match(/^spec\.circuit\.minimumCalls: /m);
    expect(lines).to.match(/^spec\.hedge/m);
  });

  it('refuses a policy that is valid in form and impossible in sense', async () => {
    const answer = await sg.put(
      path,
      policy('inventory-default', {
        spec: {
          timeout: '100ms',
          attemptTimeout: '200ms',
          circuit: { window: { calls: 10 }, minimumCalls: 11 },
        },
      }),
    );
    problem(answer, 422, 'invalid_policy');
    expect(issuesOf(answer).join('\n')).to.include('spec.circuit.minimumCalls');
  });

  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/xml',
    'application/jsonx',
    'application/json, text/plain',
  ])
    it(`does not read ${type}`, async () => {
      const answer = await sg.put(path, JSON.stringify(policy('inventory-default')), {
        'content-type': type,
      });
      problem(answer, 415, 'unsupported_media_type');
      expect(answer.body.detail).to.include('application/json or application/yaml');
    });

  it('does not read other character sets or compressed bodies', async () => {
    const body = JSON.stringify(policy('inventory-default'));
    problem(
      await sg.put(path, body, { 'content-type': 'application/json; charset=utf-16' }),
      415,
      'unsupported_media_type',
    );
    problem(await sg.put(path, body, { ...json, 'content-encoding': 'gzip' }), 415, 'unsupported_media_type');
  });

  it('asks for the body that is missing', async () => {
    problem(await sg.send('PUT', path), 400, 'invalid_request');
    problem(await sg.send('POST', '/v1/apply'), 400, 'invalid_request');
    problem(await sg.send('POST', '/v1/validate', { headers: json }), 400, 'invalid_request');
  });

  it('answers 405 and what there is to a method that is not for a path', async () => {
    for (const [method, url, allow] of [
      ['PATCH', path, 'GET, HEAD, PUT, DELETE'],
      ['POST', path, 'GET, HEAD, PUT, DELETE'],
      ['DELETE', '/v1/apply', 'POST'],
      ['PUT', '/v1/agents/a/b', 'GET, HEAD'],
      ['HEAD', '/v1/events', 'GET'],
    ] as const) {
      const answer = await sg.send(method, url);
      expect(answer.status, `${method} ${url}`).to.equal(405);
      expect(answer.headers.get('allow')).to.equal(allow);
      if (method !== 'HEAD') problem(answer, 405, 'method_not_allowed');
    }
  });

  for (const url of ['/', '/v1', '/v1/nothing', '/v1/policies/a/b', '/v2/policies', '/v1/policies/a%2Fb/x'])
    it(`knows no ${url}`, async () => {
      problem(await sg.get(url), 404, 'not_found');
    });

  for (const name of ['UPPER', '-a', 'a b', 'a%2Fb', '%00', 'x'.repeat(129), 'caf%C3%A9', '__proto__'])
    it(`refuses the policy name ${name.slice(0, 20)}`, async () => {
      const answer = await sg.get(`/v1/policies/${name}`);
      problem(answer, 400, 'invalid_request');
      expect(issuesOf(answer)[0]).to.match(/^path\.name: must be/);
    });

  it('bounds the length of what a path names', async () => {
    expect((await sg.get(`/v1/policies/${'x'.repeat(2000)}`)).status).to.be.oneOf([400, 404]);
    problem(await sg.get(`/v1/agents/${'x'.repeat(600)}`), 400, 'invalid_request');
  });

  for (const [query, fault] of [
    ['/v1/policies?dryRun=true', 'query.dryRun: is unknown; none is known here'],
    ['/v1/audit?limit=0', 'query.limit: must be a whole number from 1 to 1000'],
    ['/v1/audit?limit=1&limit=2', 'query.limit: must be'],
    ['/v1/audit?limit=1e9', 'query.limit: must be'],
    ['/v1/policies/a/revisions?before=last', 'query.before: must be'],
    ['/v1/explain?to=', 'query.to: must be'],
    ['/v1/explain?from=a', 'query.to: must be'],
    ['/v1/explain?to=a&method=Reserve', 'query.method: must be'],
    ['/v1/events?types=policy,nonsense', 'query.types: must be some of'],
  ] as const)
    it(`refuses ${query}`, async () => {
      const answer = await sg.get(query);
      problem(answer, 400, 'invalid_request');
      expect(issuesOf(answer).join('\n')).to.include(fault);
    });

  it('takes a misspelt dry run for a fault, never for a write', async () => {
    for (const query of ['dryrun=true', 'dryRun=1', 'dryRun=TRUE', 'dryRun', 'dryRun=true&dryRun=false'])
      problem(await sg.put(`${path}?${query}`, policy('inventory-default')), 400, 'invalid_request');
  });

  it('refuses a malformed percent sign', async () => {
    problem(await sg.get('/v1/policies/%zz'), 400, 'invalid_request');
  });

  it('answers 406 before it writes, and problems as they are to whoever asks for something else', async () => {
    problem(await sg.put(path, policy('inventory-default'), { accept: 'text/html' }), 406, 'not_acceptable');
    problem(await sg.get('/v1/policies/none', { accept: 'application/yaml' }), 404, 'not_found');
  });

  for (const [what, bytes, expected] of [
    ['no HTTP', 'hello\r\n\r\n', '400'],
    ['headers above 16 KiB', `GET / HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, '431'],
    [
      'two lengths of one body',
      `PUT ${path} HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx`,
      '400',
    ],
  ] as const)
    it(`answers a problem to ${what}`, async () => {
      const answer = await raw(sg, bytes);
      expect(answer)
        .to.match(new RegExp(`^HTTP/1.1 ${expected} `))
        .and.include('application/problem+json');
    });

  describe('whatever it is', () => {
    const form = fc.constantFrom('application/json', 'application/yaml', 'text/plain', '');
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.json({ maxDepth: 20 }),
      fc.stringMatching(/^[\s{}[\]:,&*!|>'"%@`#?-]{0,80}$/),
    );
    const target = fc.constantFrom(path, '/v1/apply', '/v1/validate', `${path}/rollback`);
    property(
      'a body is refused with a problem',
      fc.record({ target, form, text }),
      async ({ target, form, text }) => {
        const method = target === path ? 'PUT' : 'POST';
        const body = new TextEncoder().encode(text);
        const answer = await sg.send(method, target, { body, headers: { 'content-type': form } });
        expect(answer.status).to.be.within(400, 422);
        problemSchema.strict().parse(answer.body);
      },
    );

    property('a path and a query are answered', fc.webPath(), async (anything) => {
      for (const url of [
        `/v1${anything}`,
        `/v1/policies?${anything}`,
        `/v1/agents/${anything}`,
        `/${anything}`,
      ]) {
        const answer = await sg.get(url);
        // By chance it is one that is there to be written to.
        expect(answer.status, url).to.be.oneOf([200, 400, 404, 405]);
        if (answer.status >= 400) problemSchema.strict().parse(answer.body);
      }
    });
  });

  it('refuses the write of a foreign web page', async () => {
    problem(
      await sg.put(path, policy('inventory-default'), { origin: 'http://evil.example' }),
      403,
      'permission_denied',
    );
    const own = await sg.put(`${path}?dryRun=true`, policy('inventory-default'), { origin: sg.url });
    expect(own.status).to.equal(200);
    expect(own.headers.has('access-control-allow-origin')).to.equal(false);
  });

  it('never repeats the query, whatever was in it', async () => {
    const answer = await sg.get('/v1/nothing?token=s3cret');
    expect(answer.body.instance).to.equal('/v1/nothing');
    expect(answer.text).not.to.include('s3cret');
  });

  it('survives a client that leaves in the middle of its body', async () => {
    const { hostname, port } = new URL(sg.url);
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), hostname, () => {
        socket.write(
          `PUT ${path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{"pol`,
        );
        socket.end();
      });
      socket.on('close', () => resolve());
      socket.resume();
    });
    expect((await sg.get('/healthz')).status).to.equal(200);
  });
});

/** Sends bytes as they are and answers what comes back until the other side closes or falls silent. */
function raw(sg: Running, bytes: string): Promise<string> {
  const { hostname, port } = new URL(sg.url);
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    socket.setEncoding('utf8');
    socket.on('data', (chunk) => {
      text += chunk;
      if (/\r\n\r\n[\s\S]*\}$/.test(text)) socket.destroy();
    });
    socket.on('error', (error) => (text === '' ? reject(error) : resolve(text)));
    socket.on('close', () => resolve(text));
  });
}
