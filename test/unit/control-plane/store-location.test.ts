/**
 * The text of `--store`: every form that is right, and for every wrong one a message that says what would be, without a
 * password in it.
 */
import { expect } from 'chai';
import { describeLocation, parseLocation } from '../../../control-plane/store/location.js';
import { openStore } from '../../../control-plane/store/open.js';
import { MeshError } from '../../../core/errors.js';
import { rejection } from '../../support/stores.js';

describe('the location of a store', () => {
  for (const [text, description, parts] of [
    ['memory', 'memory', { kind: 'memory' }],
    ['embedded:/var/lib/sg', 'embedded:/var/lib/sg', { kind: 'embedded', directory: '/var/lib/sg' }],
    ['redis://localhost', 'redis://localhost:6379', { kind: 'redis', tls: false, db: 0, credentials: {} }],
    ['redis://localhost/', 'redis://localhost:6379', { db: 0 }],
    ['rediss://r.example:7000/3', 'rediss://r.example:7000/3', { tls: true, db: 3 }],
    ['redis://[::1]:7000', 'redis://[::1]:7000', { at: { host: '::1', port: 7000 } }],
    ['redis://ada:p%40ss@h:1', 'redis://h:1', { credentials: { username: 'ada', password: 'p@ss' } }],
    ['redis://:secret@h', 'redis://h:6379', { credentials: { password: 'secret' } }],
    ['redis://secret@h', 'redis://h:6379', { credentials: { password: 'secret' } }],
    [
      'redis-sentinel://h1,h2:5000/shop',
      'redis-sentinel://h1:26379,h2:5000/shop',
      {
        kind: 'sentinel',
        name: 'shop',
        sentinels: [
          { host: 'h1', port: 26379 },
          { host: 'h2', port: 5000 },
        ],
      },
    ],
    ['redis-cluster://h1:7000,h2', 'redis-cluster://h1:7000,h2:6379', { kind: 'cluster' }],
  ] as const)
    it(`${text} is one`, () => {
      const location = parseLocation(text);
      expect(describeLocation(location)).to.equal(description);
      expect(location).to.deep.include(parts);
    });

  it('a relative directory is beneath the working directory', () => {
    expect(parseLocation('embedded:.switchgear')).to.deep.equal({
      kind: 'embedded',
      directory: `${process.cwd()}/.switchgear`,
    });
  });

  for (const [text, reason] of [
    ['', '"" is no store'],
    ['mongo://h', '"mongo:…" is no store'],
    ['mongo://u:hunter2@h', '"mongo:…" is no store'],
    ['embedded:', 'embedded: needs a directory'],
    ['embedded', '"embedded" is no store'],
    ['Memory', '"Memory" is no store'],
    ['redis:h', 'the redis URL is malformed'],
    ['redis://', 'a host is missing'],
    ['redis://h:0', 'what follows "h:" is no port, 1 to 65535'],
    ['redis://h:65536', 'what follows "h:" is no port, 1 to 65535'],
    ['redis://h:hunter2', 'what follows "h:" is no port, 1 to 65535'],
    ['redis://[::1', 'a host is malformed'],
    ['redis://h1,h2', 'redis:// takes one host; several are redis-sentinel:// or redis-cluster://'],
    ['redis://h/shop', 'the database after the host is not a number'],
    ['redis://h?password=hunter2', 'the redis URL is malformed'],
    ['redis://u:hunter2%zz@h', 'a % in it does not begin a percent-encoded byte'],
    ['redis-sentinel://h1', 'redis-sentinel:// needs the name of the master after the hosts'],
    ['redis-sentinel://h1,,h2/shop', 'a host is missing'],
    ['redis-cluster://h1/3', 'a Redis Cluster has no databases; leave out what follows the hosts'],
  ] as const)
    it(`"${text}" is none: ${reason}`, async () => {
      const error = await rejection(openStore(text, { mesh: 'default', replica: 'r' }));
      expect(error).to.be.instanceOf(MeshError);
      expect((error as MeshError).code).to.equal('invalid_configuration');
      expect((error as MeshError).message).to.contain(
        `(--store, SWITCHGEAR_STORE): ${reason}; use memory, embedded:DIR, `,
      );
      expect((error as MeshError).message).to.not.contain('hunter2');
    });

  it('comes with a mesh that may be part of a key', async () => {
    for (const mesh of ['', 'A', '{x}', 'a b', '-a', 'a'.repeat(129)]) {
      const error = await rejection(openStore('memory', { mesh, replica: 'r' }));
      expect(error).to.include({ code: 'invalid_configuration' });
      expect(String(error)).to.contain('(--mesh, SWITCHGEAR_MESH)');
    }
  });
});
