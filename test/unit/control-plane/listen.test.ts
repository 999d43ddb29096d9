/** Where a control plane may listen: the form of addresses, and the refusal beyond loopback. */
import { expect } from 'chai';
import {
  checkListenPolicy,
  formatListen,
  isLoopback,
  parseListen,
} from '../../../control-plane/auth/listen.js';
import type { MeshError } from '../../../core/errors.js';

describe('listen address', () => {
  it('reads names, IPv4 and bracketed IPv6', () => {
    expect(parseListen('127.0.0.1:7480', '--rest')).to.deep.equal({ host: '127.0.0.1', port: 7480 });
    expect(parseListen('localhost:0', '--rest')).to.deep.equal({ host: 'localhost', port: 0 });
    expect(parseListen('[::1]:7400', '--grpc')).to.deep.equal({ host: '::1', port: 7400 });
    expect(formatListen({ host: '::1', port: 7400 })).to.equal('[::1]:7400');
  });

  for (const text of [
    '',
    '7480',
    ':7480',
    'host:',
    'host:65536',
    'host:x',
    'a b:1',
    '::1:7400',
    '[host]:1',
    'http://a:1',
  ])
    it(`refuses "${text}" and names the flag`, () => {
      expect(() => parseListen(text, '--rest'))
        .to.throw('--rest')
        .with.property('code', 'invalid_configuration');
    });

  it('knows loopback from what only looks like it', () => {
    for (const host of ['127.0.0.1', '127.9.9.9', '::1', 'localhost', 'LocalHost'])
      expect(isLoopback(host), host).to.equal(true);
    for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.evil.example', 'localhost.example', '128.0.0.1'])
      expect(isLoopback(host), host).to.equal(false);
  });
});

describe('listen policy', () => {
  const open = [
    { flag: '--rest', listen: { host: '0.0.0.0', port: 7480 } },
    { flag: '--grpc', listen: { host: '127.0.0.1', port: 7400 } },
  ];
  const none = { tls: false, tokens: false, insecure: false };

  function refusal(has: Partial<typeof none>): MeshError | undefined {
    try {
      checkListenPolicy(open, { ...none, ...has });
      return undefined;
    } catch (error) {
      return error as MeshError;
    }
  }

  it('names the listener and each flag that is missing', () => {
    const error = refusal({});
    expect(error?.code).to.equal('invalid_configuration');
    expect(error?.issues?.map(({ path }) => path)).to.deep.equal(['--rest']);
    for (const word of ['0.0.0.0:7480', '--tls-cert', '--tls-key', '--token-file', '--insecure'])
      expect(error?.message).to.include(word);
  });

  it('asks for both, not one of them', () => {
    expect(refusal({ tls: true })?.message)
      .to.include('--token-file')
      .and.not.include('--tls-cert');
    expect(refusal({ tokens: true })?.message)
      .to.include('--tls-cert')
      .and.not.include('--token-file');
    expect(refusal({ tls: true, tokens: true })).to.equal(undefined);
  });

  it('gives way to --insecure, and asks nothing of loopback', () => {
    expect(refusal({ insecure: true })).to.equal(undefined);
    expect(() => checkListenPolicy(open.slice(1), none)).not.to.throw();
  });
});
