/**
 * docs/runbook.md can be used at three in the morning: what it says to type is there, can be copied as it stands, and its way back
 * through the events works.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { Context } from '../../cli/context.js';
import { systemIo } from '../../cli/io.js';
import { buildProgram } from '../../cli/program.js';
import { runCli } from '../support/cli.js';
import { blocks } from '../support/markdown.js';
import { policy, startRest } from '../support/rest.js';

const text = readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8');
const shell = blocks('docs/runbook.md', 'sh').map((block) => block.text);
const inline = [...text.replace(/```[\s\S]*?```/g, '').matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);

describe('docs/runbook.md', () => {
  it('has no command that a table spoils', () => {
    for (const code of inline) expect(code).not.to.include('\\');
  });

  it('names verbs and options that there are', () => {
    const { commands } = buildProgram(new Context(systemIo()));
    const said = inline.filter((code) => /^switchgear [a-z]/.test(code));
    expect(said).to.have.length.above(15);
    for (const code of said) {
      const [, verb] = code.split(' ');
      const command = commands.find((one) => one.name() === verb);
      expect(command, code).not.to.equal(undefined);
      const known = command?.options.flatMap(({ long, short }) => [long, short]);
      for (const [flag] of code.matchAll(/(?<= )--?[a-z-]+/g)) expect(known, code).to.include(flag);
    }
  });

  it('uses no variable that it does not set or the command line does not read', () => {
    const known = [...shell.join('\n').matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name);
    for (const [, name = ''] of [...inline, ...shell].join('\n').matchAll(/\$\{?([A-Z_]+)/g))
      expect([...known, 'SWITCHGEAR_SERVER', 'SWITCHGEAR_TOKEN']).to.include(name);
  });

  it('has only commands that work where a circuit is open', async () => {
    const [, section = ''] = /## A circuit is open: what now\n([\s\S]*?)\n## /.exec(text) ?? [];
    const said = [...section.matchAll(/switchgear [a-z][^`\n]*/g)].map(([code]) => code.trim());
    const sg = await startRest();
    try {
      await sg.put('/v1/policies/payments-guard', {
        match: { to: 'payments' },
        spec: { circuit: { scope: 'cluster' } },
      });
      // So that there is one to look at.
      await runCli([...wordsOf('circuit open "payments|payments-guard" --reason drill'), '--server', sg.url]);
      const full = said.filter((code) => /^switchgear (circuit|get circuits|top|status)/.test(code));
      expect(full).to.have.length.above(7);
      for (const code of full) {
        const { code: exit, stderr } = await runCli([...wordsOf(code).slice(1), '--server', sg.url]);
        expect(exit, `${code}: ${stderr}`).to.equal(0);
      }
    } finally {
      await sg.close();
    }
  });

  it('finds its way back through the events', async () => {
    const sg = await startRest();
    try {
      await sg.put('/v1/policies/a', policy('a'));
      const gap = await firstFrame(`${sg.url}/v1/events`, '0');
      const [, name = '', number = ''] = /^id: (.*)-(\d+)\nevent: gap$/m.exec(gap) ?? [];
      expect(Number(number), gap).to.be.greaterThan(0);
      expect(await firstFrame(`${sg.url}/v1/events`, `${name}-0`)).to.match(
        /event: policy\ndata: .*"created"/,
      );
    } finally {
      await sg.close();
    }
  });
});

/** As a shell takes it apart: blanks, and double quotes. */
function wordsOf(command: string): string[] {
  return [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
}

/** What a stream of events says first. */
async function firstFrame(url: string, lastId: string): Promise<string> {
  const response = await fetch(url, { headers: { 'last-event-id': lastId } });
  const decoder = new TextDecoder();
  let read = '';
  for await (const chunk of response.body ?? []) {
    read += decoder.decode(chunk, { stream: true });
    if (read.includes('\ndata:')) break;
  }
  return read;
}
