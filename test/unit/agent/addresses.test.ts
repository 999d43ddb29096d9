/**
 * Addresses in text: what is one, what is none and how that is said, and whose turn it is.
 */
import { expect } from 'chai';
import {
  formatAddress,
  isLoopback,
  parseAddress,
  parseAddresses,
  Rotation,
} from '../../../agent/addresses.js';
import { MeshError } from '../../../core/errors.js';

describe('addresses', () => {
  for (const [text, host, port] of [
    ['127.0.0.1:7400', '127.0.0.1', 7400],
    ['control_plane:1', 'control_plane', 1],
    ['[::1]:65535', '::1', 65_535],
    ['[fe80::1%eth0]:7400', 'fe80::1%eth0', 7400],
  ] as const)
    it(`read ${text}, and write it the same`, () => {
      const address = parseAddress(text);
      expect(address).to.deep.equal({ host, port });
      expect(address && formatAddress(address)).to.equal(text);
    });

  for (const text of [
    '',
    'host',
    'host:',
    ':7400',
    'host:0',
    'host:65536',
    'host:7400x',
    '::1:7400',
    '[::1]',
    '[1.2.3.4]:5',
    '[zz::1]:5',
    'http://host:80',
    'user@host:80',
    'a b:80',
  ])
    it(`know that "${text}" is none`, () => expect(parseAddress(text)).to.equal(undefined));

  it('tell this machine from others', () => {
    const seen = [
      '127.0.0.1:1',
      '127.9.9.9:1',
      '[::1]:1',
      'localhost:1',
      '10.0.0.1:1',
      '127.example:1',
      '[::2]:1',
    ].map((text) => parseAddresses(text, 'x').every(isLoopback));
    expect(seen).to.deep.equal([true, true, true, true, false, false, false]);
  });

  it('come several, with commas and blanks', () => {
    expect(parseAddresses('a:1, [::1]:2 ,c:3', 'x').map(formatAddress)).to.deep.equal([
      'a:1',
      '[::1]:2',
      'c:3',
    ]);
  });

  it('name the place and the culprit of a wrong one, and what would be right', () => {
    const thrown = () => parseAddresses('a:1,nowhere', 'SWITCHGEAR_CONTROL_PLANE');
    expect(thrown)
      .to.throw(MeshError, /SWITCHGEAR_CONTROL_PLANE: "nowhere" is no address; write host:port/)
      .with.property('code', 'invalid_configuration');
  });

  it('are gone through in turn, from a place of chance on', () => {
    const addresses = parseAddresses('a:1,b:2,c:3', 'x');
    const rotation = new Rotation(addresses, { next: () => 0.5, hex: () => '' });
    const seen = [0, 1, 2, 3].map(() => {
      const { host } = rotation.current;
      rotation.advance();
      return host;
    });
    expect(seen).to.deep.equal(['b', 'c', 'a', 'b']);
  });
});
