/**
 * What `register` is given: a place, or one error with every fault of it.
 */
import { expect } from 'chai';
import { MeshError } from '../../../core/errors.js';
import { placeOf } from '../../../sdk/names.js';
import type { RegisterOptions } from '../../../sdk/types.js';

function errorOf(options: unknown): MeshError {
  try {
    placeOf(options as RegisterOptions, '');
  } catch (error) {
    expect(error).to.be.instanceOf(MeshError).with.property('code', 'invalid_configuration');
    return error as MeshError;
  }
  throw new Error('expected a refusal');
}

describe('the place of a service', () => {
  for (const [options, address] of [
    [{ port: 50051 }, ':50051'],
    [{ port: 50051, address: '' }, ':50051'],
    [{ port: 50051, address: 'pod-7' }, 'pod-7:50051'],
    [{ port: 50051, address: 'pod-7:80' }, 'pod-7:80'],
    [{ port: 50051, address: '::1' }, '[::1]:50051'],
    [{ port: 50051, address: '[::1]' }, '[::1]:50051'],
  ] as const)
    it(`of ${JSON.stringify(options)} is ${address}`, () => {
      expect(placeOf(options, '1.2')).to.deep.equal({ address, protocol: 'grpc', version: '1.2' });
    });

  for (const [what, options, text] of [
    ['a port of 0', { port: 0 }, 'port is 0: use the port this service listens on, 1 to 65535'],
    ['a port that is a text', { port: '50051' }, 'port is "50051": use the port'],
    ['no port', {}, 'port is of type undefined: use the port'],
    ['another protocol', { port: 1, protocol: 'HTTP' }, 'protocol is "HTTP": use grpc or http'],
    ['a version with a line break', { port: 1, version: 'a\nb' }, 'version has to be up to 128 visible'],
    ['an address with a blank', { port: 1, address: 'a b' }, 'address is "a b": give a host'],
    ['an address that is a number', { port: 1, address: 7n }, 'address is of type bigint: give a host'],
    ['a misspelt option', { port: 1, protocl: 'http' }, 'protocl is no option; did you mean protocol?'],
    ['an option nobody knows', { port: 1, xyzzy: 1 }, 'xyzzy is no option; known are port, address'],
  ] as const)
    it(`is refused with ${what}`, () => {
      const error = errorOf(options);
      expect(error.issues).to.have.length(1);
      expect(error.message).to.contain(`[invalid_configuration] register: ${text}`);
    });

  it('is refused with all its faults at once', () => {
    const { issues } = errorOf({ port: -1, adress: 'x', protocol: 'tcp', version: 7, address: '//' });
    expect(issues?.map(({ path }) => path)).to.deep.equal([
      'adress',
      'port',
      'protocol',
      'version',
      'address',
    ]);
  });
});
