/**
 * The files that nobody runs here but everybody relies on: docker-compose.yml, kubernetes.yaml, Dockerfile, .dockerignore and .ci/run. Their
 * structure is checked, and that every script, flag and path they name exists.
 */
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { expect } from 'chai';
import { parse, parseAllDocuments } from 'yaml';
import { Context } from '../../cli/context.js';
import { systemIo } from '../../cli/io.js';
import { buildProgram } from '../../cli/program.js';
import { connectionAgeOf } from '../../control-plane/grpc/age.js';
import { createTelemetry } from '../../control-plane/telemetry/metrics.js';
import { root } from '../support/markdown.js';

interface Service {
  readonly image: string;
  readonly build?: string;
  readonly pull_policy?: string;
  readonly command: readonly string[];
  readonly ports?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, { condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly volumes?: readonly string[];
}

const read = (file: string) => readFileSync(join(root, file), 'utf8');

/** `/app/dist/cli/main.js` → whether its source is here. */
function hasSource(script: string): boolean {
  return existsSync(join(root, script.replace(/^\/app\/dist\//, '').replace(/\.js$/, '.ts')));
}

const upFlags = buildProgram(new Context(systemIo()))
  .commands.find((command) => command.name() === 'up')
  ?.options.map(({ long }) => long);

function checkCommand(command: readonly string[], where: string): void {
  const [script = '', ...rest] = command;
  expect(hasSource(script), `${where}: ${script}`).to.equal(true);
  if (!script.endsWith('/cli/main.js')) return;
  expect(rest[0], where).to.equal('up');
  for (const flag of rest.filter((word) => word.startsWith('--'))) expect(upFlags, where).to.include(flag);
}

describe('docker-compose.yml', () => {
  const { services, volumes } = parse(read('docker-compose.yml'), { merge: true }) as {
    services: Record<string, Service>;
    volumes: Record<string, unknown>;
  };
  const own = Object.entries(services).filter(([name]) => name !== 'redis');

  it('has Redis, two replicas, the shop and its customers', () => {
    expect(Object.keys(services)).to.deep.equal([
      'redis',
      'control-plane-1',
      'control-plane-2',
      'payments',
      'inventory',
      'checkout',
      'customers',
    ]);
  });

  it('gives Redis a file that it appends to, on a volume', () => {
    const { command, volumes: mounted } = services.redis as Service;
    expect(command.join(' ')).to.include('--appendonly yes').and.to.include('--appendfsync always');
    for (const mount of mounted ?? []) expect(volumes).to.have.property(mount.split(':')[0] ?? '');
  });

  it('runs scripts that exist, with flags that exist', () => {
    for (const [name, { command }] of own) checkCommand(command, name);
  });

  it('gives the replicas one store, one mesh, and names of their own', () => {
    const replicas = own
      .filter(([name]) => name.startsWith('control-plane'))
      .map(([, { command }]) => command);
    const value = (command: readonly string[], flag: string) => command[command.indexOf(flag) + 1];
    for (const flag of ['--store', '--mesh'])
      expect(new Set(replicas.map((command) => value(command, flag))).size, flag).to.equal(1);
    expect(new Set(replicas.map((command) => value(command, '--replica'))).size).to.equal(2);
    for (const command of replicas) expect(command).to.include('--insecure');
  });

  it('publishes ports on this machine only, each once', () => {
    const ports = Object.values(services).flatMap(({ ports = [] }) => ports);
    for (const port of ports) expect(port).to.match(/^127\.0\.0\.1:\d+:\d+$/);
    expect(new Set(ports.map((port) => port.split(':')[1])).size).to.equal(ports.length);
  });

  it('waits for what is needed, by health checks that exist', () => {
    for (const [name, { depends_on: needed = {} }] of own)
      for (const [other, { condition }] of Object.entries(needed)) {
        expect(services, `${name} needs ${other}`).to.have.property(other);
        expect(condition).to.equal('service_healthy');
        expect(services[other]?.healthcheck?.test, other).to.be.an('array');
      }
  });

  it('builds its image once; whoever takes it waits for that, and never asks a registry', () => {
    expect(own.filter(([, { build }]) => build !== undefined).map(([name]) => name)).to.deep.equal([
      'control-plane-1',
    ]);
    const waitsForBuild = (name: string): boolean =>
      name === 'control-plane-1' || Object.keys(services[name]?.depends_on ?? {}).some(waitsForBuild);
    for (const [name, { image, pull_policy }] of own) {
      expect(image, name).to.equal('switchgear');
      expect(pull_policy, name).to.equal(name === 'control-plane-1' ? undefined : 'never');
      expect(waitsForBuild(name), name).to.equal(true);
    }
  });

  it('sets only variables that the programs read, and addresses that are there', () => {
    const sources = [
      'sdk/settings.ts',
      'examples/shop/service.ts',
      'examples/shop/payments.ts',
      'examples/shop/customers.ts',
    ]
      .map(read)
      .join('\n');
    for (const [name, { environment = {} }] of own)
      for (const [variable, value] of Object.entries(environment)) {
        if (variable !== 'SWITCHGEAR_CONTROL_PLANE')
          expect(sources, `${name}: ${variable}`).to.include(variable);
        for (const [, host = ''] of String(value).matchAll(/([a-z][a-z0-9-]*):\d+/g))
          expect(services, `${name}: ${variable}`).to.have.property(host);
      }
  });

  it('takes images by their plain names', () => {
    for (const [name, { image }] of Object.entries(services))
      expect(image, name).to.match(/^[a-z]+(:[\w.-]+)?$/);
  });
});

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  // biome-ignore lint/suspicious/noExplicitAny: Kubernetes' own shapes, looked into where they matter
  readonly spec: any;
}

describe('kubernetes.yaml', () => {
  const manifests = parseAllDocuments(read('kubernetes.yaml')).map((each) => {
    expect(each.errors).to.deep.equal([]);
    return each.toJS() as Manifest;
  });
  const of = (kind: string): Manifest['spec'] => manifests.find((each) => each.kind === kind)?.spec;
  const pod = of('Deployment').template;
  const [container] = pod.spec.containers;

  it('has what keeps replicas there, and as many as there are agents for', () => {
    expect(manifests.map(({ kind }) => kind)).to.deep.equal([
      'Deployment',
      'Service',
      'PodDisruptionBudget',
      'HorizontalPodAutoscaler',
    ]);
    for (const { metadata } of manifests) expect(metadata.name).to.equal('switchgear');
    const { app } = pod.metadata.labels;
    expect(of('Deployment').selector.matchLabels.app).to.equal(app);
    expect(of('Service').selector.app).to.equal(app);
    expect(of('PodDisruptionBudget').selector.matchLabels.app).to.equal(app);
    expect(of('HorizontalPodAutoscaler').scaleTargetRef.name).to.equal('switchgear');
  });

  it('runs a command that exists, with flags and variables that exist, on the image of the Dockerfile', () => {
    checkCommand(container.args, 'args');
    const { version } = JSON.parse(read('package.json'));
    expect(container.image).to.equal(`switchgear:${version}`);
    const variables = read('docs/configuration.md');
    for (const { name } of container.env) expect(variables).to.include(`\`${name}\``);
    expect(connectionAgeOf(container.env.at(-1).value)).to.be.above(0);
  });

  it('listens where it says, and is asked what the REST interface answers', () => {
    for (const [flag, name] of [
      ['--rest', 'rest'],
      ['--grpc', 'grpc'],
    ]) {
      const port = Number(container.args[container.args.indexOf(flag) + 1].split(':')[1]);
      expect(container.ports).to.deep.include({ name, containerPort: port });
      expect(of('Service').ports).to.deep.include({ name, port, targetPort: name });
    }
    const paths = [...read('control-plane/rest/health.ts').matchAll(/'(\/[a-z]+)'/g)].map(([, path]) => path);
    for (const probe of [container.readinessProbe, container.livenessProbe])
      expect(paths).to.include(probe.httpGet.path);
  });

  it('mounts each file that a flag names', () => {
    for (const flag of ['--tls-cert', '--tls-key', '--token-file']) {
      const file: string = container.args[container.args.indexOf(flag) + 1];
      const mount = container.volumeMounts.find(({ mountPath }: { mountPath: string }) =>
        file.startsWith(`${mountPath}/`),
      );
      expect(mount, file).to.include({ readOnly: true });
      expect(pod.spec.volumes.map(({ name }: { name: string }) => name)).to.include(mount.name);
    }
  });

  it('leaves time to drain', () => {
    const [, waitMs] =
      /setTimeout\(\(\) => \{\}, (\d+)\)/.exec(container.lifecycle.preStop.exec.command[2]) ?? [];
    // Five seconds for the drain, ten until all is closed.
    expect(pod.spec.terminationGracePeriodSeconds * 1000 - Number(waitMs)).to.be.at.least(15_000);
  });

  it('scales by a metric that the control plane has', async () => {
    const [{ pods }] = of('HorizontalPodAutoscaler').metrics;
    const telemetry = createTelemetry({ mesh: 'm', replica: 'r' });
    expect((await telemetry.scrape()).text).to.include(`# TYPE ${pods.metric.name} gauge`);
    expect(Number(pods.target.averageValue)).to.be.below(10_000);
  });
});

describe('Dockerfile', () => {
  const text = read('Dockerfile');

  it('ends as nobody special, on a command that exists', () => {
    const [, user] = /^USER (.*)$/m.exec(text) ?? [];
    expect(user).to.equal('node');
    expect(text.lastIndexOf('\nUSER ')).to.be.lessThan(text.lastIndexOf('\nCMD '));
    checkCommand(JSON.parse(/^CMD (.*)$/m.exec(text)?.[1] ?? '[]'), 'CMD');
  });

  it('is given all that the build reads, and no more', () => {
    const allowed = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const { include } = JSON.parse(read('tsconfig.build.json'));
    for (const path of [
      ...include,
      'tools',
      'package.json',
      'package-lock.json',
      'tsconfig.json',
      'tsconfig.build.json',
    ])
      expect(allowed).to.include(path);
    for (const path of allowed) expect(existsSync(join(root, path)), path).to.equal(true);
  });
});

describe('.ci/run', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'switchgear-ci-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Runs it with an npm of our own; answers the exit code and the last line. */
  const runWith = (npm: string): Promise<{ code: number; last: string | undefined }> => {
    writeFileSync(join(folder, 'npm'), `#!/bin/sh\n${npm}\n`);
    chmodSync(join(folder, 'npm'), 0o755);
    const env = { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}` };
    return new Promise((resolve) => {
      execFile(join(root, '.ci/run'), { env, cwd: folder }, (error, stdout) => {
        resolve({ code: Number(error?.code ?? 0), last: stdout.trimEnd().split('\n').at(-1) });
      });
    });
  };

  it('ends with the numbers of a run that passed', async () => {
    const ran = await runWith('[ "$1" = test ] && printf "\\n  12 passing (3s)\\n  1 pending\\n"; exit 0');
    expect(ran).to.deep.equal({ code: 0, last: '12 passed, 0 failed' });
  });

  it('ends with the numbers of a run that failed, and its exit code', async () => {
    const ran = await runWith(
      '[ "$1" = ci ] && exit 0; printf "  12 passing (1m)\\n  \\033[31m3 failing\\033[0m\\n"; exit 3',
    );
    expect(ran).to.deep.equal({ code: 3, last: '12 passed, 3 failed' });
  });

  it('counts what broke before any test as a failure', async () => {
    expect(await runWith('exit 1')).to.deep.equal({ code: 1, last: '0 passed, 1 failed' });
  });

  it('takes a run without a test for a failure', async () => {
    expect(await runWith('exit 0')).to.deep.equal({ code: 1, last: '0 passed, 1 failed' });
  });

  it('does not test what could not be installed', async () => {
    const ran = await runWith('[ "$1" = ci ] && exit 7; echo "  5 passing (1s)"');
    expect(ran).to.deep.equal({ code: 7, last: '0 passed, 1 failed' });
  });
});
