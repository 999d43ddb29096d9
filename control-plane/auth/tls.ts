/**
 * The certificate of both listeners. Files are read and checked once at start, so that a wrong path, a key that belongs to
 * another certificate or a torn PEM is one clear error with its flag, not a handshake that fails later. Keys are never shown.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { MeshError, messageOf } from '../../core/errors.js';

/** Paths of PEM files, or PEM texts themselves. */
export interface TlsOptions {
  readonly cert: string;
  readonly key: string;
  /** Authorities of clients' certificates. A client may come without one; one that it does present has to be from here. */
  readonly ca?: string;
}

export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
}

/** Throws `invalid_configuration` naming the flag and file. */
export async function readTls({ cert, key, ca }: TlsOptions): Promise<TlsMaterial> {
  const [certPem, keyPem, caPem] = await Promise.all([
    read(cert, '--tls-cert'),
    read(key, '--tls-key'),
    ca === undefined ? undefined : read(ca, '--tls-ca'),
  ]);
  const certificate = checked(cert, '--tls-cert', 'certificate', () => new X509Certificate(certPem));
  const privateKey = checked(key, '--tls-key', 'private key without a password', () =>
    createPrivateKey(keyPem),
  );
  if (!certificate.checkPrivateKey(privateKey))
    throw new MeshError(
      'invalid_configuration',
      `${nameOf(key)} (--tls-key) is not the key of ${nameOf(cert)} (--tls-cert)`,
    );
  if (ca === undefined || caPem === undefined) return { cert: certPem, key: keyPem };
  checked(ca, '--tls-ca', 'certificate', () => new X509Certificate(caPem));
  return { cert: certPem, key: keyPem, ca: caPem };
}

function isPem(value: string): boolean {
  return value.includes('-----BEGIN ');
}

function nameOf(value: string): string {
  return isPem(value) ? 'the PEM text' : value;
}

async function read(value: string, flag: string): Promise<Buffer> {
  if (isPem(value)) return Buffer.from(value);
  try {
    return await readFile(value);
  } catch (error) {
    throw new MeshError('invalid_configuration', `${value} (${flag}) can't be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function checked<T>(value: string, flag: string, what: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new MeshError('invalid_configuration', `${nameOf(value)} (${flag}) holds no PEM ${what}`, {
      cause: error,
    });
  }
}
