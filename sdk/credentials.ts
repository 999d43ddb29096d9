/**
 * The credentials of the connection to the control plane: what an application gives as PEM, Buffer or path becomes grpc-js's.
 * Files are read once, at `connect`, so that a wrong path is one clear error and not a connection that never comes about.
 */
import { readFile } from 'node:fs/promises';
import { ChannelCredentials } from '@grpc/grpc-js';
import { MeshError, messageOf } from '../core/errors.js';
import type { TlsOptions } from './types.js';

/** Throws `invalid_configuration` naming the option and file. */
export async function controlPlaneCredentials(tls: TlsOptions | undefined): Promise<ChannelCredentials> {
  if (!tls) return ChannelCredentials.createInsecure();
  const [ca, key, cert] = await Promise.all([
    pem(tls.ca, 'tls.ca'),
    pem(tls.key, 'tls.key'),
    pem(tls.cert, 'tls.cert'),
  ]);
  try {
    return ChannelCredentials.createSsl(ca, key, cert);
  } catch (error) {
    throw new MeshError('invalid_configuration', `tls can't be used: ${messageOf(error)}`, { cause: error });
  }
}

async function pem(value: string | Buffer | undefined, option: string): Promise<Buffer | null> {
  if (value === undefined) return null;
  if (Buffer.isBuffer(value)) return value;
  if (value.includes('-----BEGIN ')) return Buffer.from(value);
  try {
    return await readFile(value);
  } catch (error) {
    throw new MeshError('invalid_configuration', `${option}: ${value} can't be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
