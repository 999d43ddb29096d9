/**
 * What `connect` is given, by options or environment: complete settings, or one error with every fault, its place, and what
 * would be right.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { formatAddress } from '../../../agent/addresses.js';
import { MeshError } from '../../../core/errors.js';
import { seededRandom } from '../../../core/random.js';
import { type Environment, readSettings, type Settings } from '../../../sdk/settings.js';
import type { ConnectOptions } from '../../../sdk/types.js';

function read(options: unknown, env: Environment = {}): Settings {
  return readSettings(options as ConnectOptions, env, seededRandom(1));
}

function faults(options: unknown, env: Environment = {}): { path: string; message: string }[] {
  try {
    read(options, env);
  } catch (error) {
    expect(error).to.be.instanceOf(MeshError).with.property('code', 'invalid_configuration');
    return [...((error as MeshError).issues ?? [])];
  }
  throw new Error('expected a refusal');
}

describe('the settings of a service', () => {
  it('need no more than its name', () => {
    const settings = read({ service: 'checkout' });
    expect(settings.addresses.map(formatAddress)).to.deep.equal(['127.0.0.1:7400']);
    expect(settings).to.include({ service: 'checkout', zone: '', version: '', disabled: false });
    expect(settings.tls).to.equal(undefined);
    expect(settings.token).to.equal(undefined);
    expect(settings.callees).to.deep.equal([]);
    expect(settings.instance).to.match(/^[A-Za-z0-9].*-\d+-[0-9a-f]{6}$/);
  });

  it('come from the environment, where an option does not say otherwise', () => {
    const env = {
      SWITCHGEAR_SERVICE: 'checkout',
      SWITCHGEAR_CONTROL_PLANE: 'a:1,b:2',
      SWITCHGEAR_ZONE: 'z1',
      SWITCHGEAR_VERSION: '1.2.3',
      SWITCHGEAR_INSTANCE: 'pod-7',
      SWITCHGEAR_SNAPSHOT: '/var/lib/x.json',
      SWITCHGEAR_TOKEN: 'abc123==',
      SWITCHGEAR_DISABLED: 'true',
    };
    const settings = read({ zone: 'z2' }, env);
    expect(settings.addresses.map(formatAddress)).to.deep.equal(['a:1', 'b:2']);
    expect(settings).to.include({
      service: 'checkout',
      zone: 'z2',
      version: '1.2.3',
      instance: 'pod-7',
      snapshot: '/var/lib/x.json',
      token: 'abc123==',
      disabled: true,
    });
  });

  it('take an empty variable for none', () => {
    const env = {
      SWITCHGEAR_CONTROL_PLANE: '',
      SWITCHGEAR_DISABLED: '',
      SWITCHGEAR_TOKEN: '',
      SWITCHGEAR_SNAPSHOT: '',
    };
    const settings = read({ service: 'checkout' }, env);
    expect(settings.addresses.map(formatAddress)).to.deep.equal(['127.0.0.1:7400']);
    expect(settings.token).to.equal(undefined);
    expect(settings.snapshot).to.not.equal(undefined);
  });

  it('keep the snapshot of a service where the system keeps state, apart for each control plane', () => {
    const here = read({ service: 'check:out' }, { XDG_STATE_HOME: '/state' }).snapshot;
    expect(here).to.match(/^\/state\/switchgear\/check_out-[0-9a-f]{8}\.json$/);
    const there = read({ service: 'check:out', controlPlane: 'b:1' }, { XDG_STATE_HOME: '/state' }).snapshot;
    expect(there).to.not.equal(here);
    const turned = read({ service: 's', controlPlane: 'b:1,a:2' }, {}).snapshot;
    expect(turned).to.equal(read({ service: 's', controlPlane: 'a:2,b:1' }, {}).snapshot);
    expect(turned?.startsWith(join(homedir(), '.local', 'state', 'switchgear'))).to.equal(true);
  });

  for (const [options, env] of [
    [{ snapshot: false }, { SWITCHGEAR_SNAPSHOT: '/x' }],
    [{}, { SWITCHGEAR_SNAPSHOT: 'off' }],
    [{}, { SWITCHGEAR_SNAPSHOT: '0' }],
  ] as const)
    it(`keep none with ${JSON.stringify(options)} and ${JSON.stringify(env)}`, () => {
      expect(read({ service: 's', ...options }, env).snapshot).to.equal(undefined);
    });

  it('have TLS when they are asked to, or given a part of it', () => {
    expect(read({ service: 's', tls: true }).tls).to.deep.equal({});
    expect(read({ service: 's', tls: false }, { SWITCHGEAR_TLS: '1' }).tls).to.equal(undefined);
    expect(read({ service: 's' }, { SWITCHGEAR_TLS: '1' }).tls).to.deep.equal({});
    expect(read({ service: 's' }, { SWITCHGEAR_TLS_CA: '/ca.pem' }).tls).to.deep.equal({ ca: '/ca.pem' });
    expect(read({ service: 's' }, { SWITCHGEAR_TLS: '0', SWITCHGEAR_TLS_CA: '/ca' }).tls).to.equal(undefined);
    expect(read({ service: 's', tls: { ca: '/ca', serverName: 'cp' } }).tls).to.deep.equal({
      ca: '/ca',
      serverName: 'cp',
    });
  });

  for (const [what, options, env, path, message] of [
    ['no name', {}, {}, 'service', /is missing/],
    ['a name with a blank', { service: 'a b' }, {}, 'service', /"a b"/],
    ['a name that is a number', { service: 7 }, {}, 'service', /of type number/],
    ['a variable with a bad name', {}, { SWITCHGEAR_SERVICE: '*' }, 'SWITCHGEAR_SERVICE', /letters/],
    ['no address', { service: 's', controlPlane: 'nowhere' }, {}, 'controlPlane', /host:port/],
    [
      'a bad address in the environment',
      { service: 's' },
      { SWITCHGEAR_CONTROL_PLANE: 'a:1,' },
      'SWITCHGEAR_CONTROL_PLANE',
      /host:port/,
    ],
    ['an address of another type', { service: 's', controlPlane: ['a:1'] }, {}, 'controlPlane', /host:port/],
    ['a misspelt option', { service: 's', calees: [] }, {}, 'calees', /did you mean callees\?/],
    ['an option nobody knows', { service: 's', xyzzy: 1 }, {}, 'xyzzy', /known are service/],
    ['a callee that is none', { service: 's', callees: ['ok', '*'] }, {}, 'callees[1]', /"\*"/],
    ['callees that are a text', { service: 's', callees: 'inventory' }, {}, 'callees', /list/],
    ['an instance with a slash', { service: 's', instance: 'a/b' }, {}, 'instance', /"a\/b"/],
    ['a version with a line break', { service: 's', version: 'a\nb' }, {}, 'version', /visible/],
    ['a snapshot that is true', { service: 's', snapshot: true }, {}, 'snapshot', /path/],
    ['a TLS key alone', { service: 's', tls: { key: 'x' } }, {}, 'tls', /both/],
    ['a misspelt TLS option', { service: 's', tls: { caa: 'x' } }, {}, 'tls.caa', /did you mean ca\?/],
    [
      'a TLS name that is none',
      { service: 's', tls: { serverName: Buffer.from('x') } },
      {},
      'tls.serverName',
      /a name/,
    ],
    ['a TLS authority that is a number', { service: 's', tls: { ca: 7 } }, {}, 'tls.ca', /PEM/],
    ['a TLS of another type', { service: 's', tls: 'yes' }, {}, 'tls', /true, false/],
    [
      'a TLS key alone in the environment',
      { service: 's' },
      { SWITCHGEAR_TLS_KEY: 'x' },
      'SWITCHGEAR_TLS_CERT',
      /both/,
    ],
    [
      'a switch that is neither',
      { service: 's' },
      { SWITCHGEAR_DISABLED: 'maybe' },
      'SWITCHGEAR_DISABLED',
      /1 or 0/,
    ],
    [
      'a logger that can not',
      { service: 's', logger: console.log },
      {},
      'logger',
      /debug, info, warn, error/,
    ],
  ] as const)
    it(`refuse ${what}`, () => {
      const found = faults(options, env);
      expect(found).to.have.length(1);
      expect(found[0]?.path).to.equal(path);
      expect(found[0]?.message).to.match(message);
    });

  it('refuse what is no object at all', () => {
    for (const options of [null, 'checkout', 7])
      expect(faults(options).map(({ path }) => path)).to.deep.equal(['options', 'service']);
  });

  it('tell all faults at once', () => {
    const paths = faults({ service: '', zonee: 'x', controlPlane: '?' }, { SWITCHGEAR_DISABLED: '?' }).map(
      ({ path }) => path,
    );
    expect(paths.sort()).to.deep.equal(['SWITCHGEAR_DISABLED', 'controlPlane', 'service', 'zonee'].sort());
  });

  it('never show a token', () => {
    const [fault] = faults({ service: 's', token: 'my secret' });
    expect(fault?.path).to.equal('token');
    expect(fault?.message).to.not.match(/secret/);
  });
});
