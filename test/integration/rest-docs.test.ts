/** The documents agree with the program: every example of docs/rest.md answers what it says, every endpoint has one, every code has a row. */
import { readFileSync } from 'node:fs';
import { status as grpcStatus } from '@grpc/grpc-js';
import { expect } from 'chai';
import { statusOfError } from '../../agent/rejection-status.js';
import { statusOf as streamStatusOf } from '../../control-plane/grpc/status.js';
import { statusOf as httpStatusOf } from '../../control-plane/rest/problem.js';
import { type CallCode, type ControlCode, callCodes, controlCodes, MeshError } from '../../core/errors.js';
import { type Running, startRest } from '../support/rest.js';

const read = (name: string) => readFileSync(new URL(`../../docs/${name}.md`, import.meta.url), 'utf8');

interface Example {
  readonly text: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: string | undefined;
  readonly status: number;
}

/** The curl commands of the page: words, quotes, `-X -H -d`, and the expected status as a comment. */
function examples(page: string): Example[] {
  const blocks = [...page.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block);
  return blocks.flatMap((block) =>
    [...block.matchAll(/^curl ([\s\S]*?) # (\d{3})$/gm)].map(([text, command = '', status]) => {
      const words = [...command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
        ([, a, b, c]) => a ?? b ?? c ?? '',
      );
      const example = {
        text,
        method: 'GET',
        url: '',
        headers: {} as Record<string, string>,
        body: undefined as string | undefined,
      };
      for (let i = 0; i < words.length; i++) {
        const word = words[i] ?? '';
        if (word === '-X') example.method = words[++i] ?? '';
        else if (word === '-d') example.body = words[++i];
        else if (word === '-H') {
          const [, name = '', value = ''] = /^([^:]+): (.*)$/.exec(words[++i] ?? '') ?? [];
          example.headers[name] = value;
        } else if (word.startsWith('$SG')) example.url = word.slice('$SG'.length);
        else if (!['-i', '-N'].includes(word))
          throw new Error(`the example says ${word}, which the test does not know: ${text}`);
      }
      return { ...example, status: Number(status) };
    }),
  );
}

describe('docs/rest.md', () => {
  const page = read('rest');
  const all = examples(page);
  let sg: Running;
  before(async () => {
    sg = await startRest();
  });
  after(() => sg.close());

  it('has nothing but examples that the test understands', () => {
    expect(all.length).to.equal(page.match(/^curl /gm)?.length);
    expect(all.length).to.be.greaterThan(25);
  });

  for (const { text, method, url, headers, body, status } of all)
    it(`answers ${status} to ${text.split('\n')[0]}`, async () => {
      const aborting = new AbortController();
      const response = await fetch(`${sg.url}${url}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body }),
        signal: aborting.signal,
      });
      const isStream = response.headers.get('content-type')?.startsWith('text/event-stream');
      const answer = isStream ? 'a stream' : await response.text();
      aborting.abort();
      expect(response.status, answer).to.equal(status);
    });

  it('names every metric of ours, and none that is not there', async () => {
    const { text } = await sg.get('/metrics');
    const described = [...text.matchAll(/^# TYPE (switchgear_\w+)/gm)].map(([, name]) => name);
    const named = [...page.matchAll(/`(switchgear_\w+)/g)].map(([, name]) => name);
    expect(named.sort()).to.deep.equal(described.sort());
  });

  it('has an example of every endpoint', async () => {
    const { body } = await sg.get('/openapi.json');
    for (const [path, operations] of Object.entries(body.paths as Record<string, object>)) {
      const pattern = new RegExp(`^${path.replace(/\{id\}/g, '.+').replace(/\{\w+\}/g, '[^/]+')}$`);
      for (const method of Object.keys(operations)) {
        const shown = all.some(
          (one) => one.method === method.toUpperCase() && pattern.test(one.url.split('?')[0] ?? ''),
        );
        expect(shown, `an example of ${method} ${path}`).to.equal(true);
        expect(page, `the heading of ${path}`).to.include(path);
      }
    }
  });
});

describe('docs/errors.md', () => {
  const rows = new Map(
    [...read('errors').matchAll(/^\| `(\w+)` \| (.*) \|$/gm)].map(([, code = '', cells = '']) => [
      code,
      cells.split(' | '),
    ]),
  );

  it('has a row for each code, and none for what is no code', () => {
    expect([...rows.keys()].sort()).to.deep.equal([...callCodes, ...controlCodes].sort());
  });

  for (const code of controlCodes)
    it(`tells the statuses of ${code}, what it means and what to do`, () => {
      const [http, grpc, meaning, advice] = rows.get(code) ?? [];
      expect(Number(http)).to.equal(httpStatusOf(code satisfies ControlCode));
      const ofStream = streamStatusOf(new MeshError(code, '')).code;
      const isTold = code === 'internal' || ofStream !== grpcStatus.INTERNAL;
      expect(grpc).to.equal(isTold ? grpcStatus[ofStream] : '—');
      expect(meaning).to.match(/\w{3}/);
      expect(advice).to.match(/\w{3}/);
    });

  for (const code of callCodes)
    it(`tells the status of ${code}, what it means and what to do`, () => {
      const [grpc, meaning, advice] = rows.get(code satisfies CallCode) ?? [];
      expect(grpc).to.equal(grpcStatus[statusOfError(new MeshError(code, '')).code]);
      expect(meaning).to.match(/\w{3}/);
      expect(advice).to.match(/\w{3}/);
    });
});
