// Runs before `npm test`: the suite talks to a real Redis and to a Python gRPC server, both as Debian packages them. Says
// nothing when both are there; else installs what is missing with apt-get, as root or through sudo, and starts no service.
// REDIS_URL lends the contract suite another server; the fault tests kill theirs and need the program all the same.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';

const needs = [
  {
    package: 'redis-server',
    what: 'redis-server on PATH',
    present: () => runs('redis-server', ['--version']),
  },
  {
    package: 'python3-grpcio',
    what: 'grpc for /usr/bin/python3',
    present: () => runs('/usr/bin/python3', ['-c', 'import grpc']),
  },
];

function runs(command, args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

function fail(reason) {
  const missing = needs.filter(({ present }) => !present());
  const packages = missing.map((need) => need.package).join(' ');
  console.error(`The tests need ${missing.map(({ what }) => what).join(' and ')}, and ${reason}.`);
  console.error(
    `Install them yourself (on Debian and Ubuntu: apt-get install ${packages}) and run npm test again.`,
  );
  process.exit(1);
}

const missing = needs.filter(({ present }) => !present());
if (missing.length > 0) install(missing.map((need) => need.package));

function install(packages) {
  if (!runs('apt-get', ['--version'])) fail('there is no apt-get here to install them');
  const root = process.getuid?.() === 0;
  if (!root && !runs('sudo', ['-n', 'true'])) fail('installing them needs root, or sudo without a password');
  const apt = (...args) => {
    const command = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-q', '-y', ...args];
    const [program, ...rest] = root ? command : ['sudo', '-n', ...command];
    console.error(`> ${[program, ...rest].join(' ')}`);
    return spawnSync(program, rest, { stdio: ['ignore', 2, 2] }).status === 0;
  };
  const allowServices = forbidServices(root);
  const add = () => apt('install', '--no-install-recommends', ...packages);
  const added = add() || (apt('update') && add());
  allowServices();
  if (!added) fail(`apt-get could not install ${packages.join(' ')}`);
  if (needs.some(({ present }) => !present()))
    fail('apt-get installed the packages, but they are not usable');
}

// Debian starts what it installs unless this file says no (exit code 101).
function forbidServices(root) {
  const path = '/usr/sbin/policy-rc.d';
  if (existsSync(path)) return () => {};
  const script = '#!/bin/sh\nexit 101\n';
  if (root) {
    writeFileSync(path, script, { mode: 0o755 });
    return () => rmSync(path, { force: true });
  }
  const sudo = (...args) =>
    spawnSync('sudo', ['-n', ...args], { input: script, stdio: ['pipe', 'ignore', 2] });
  sudo('tee', path);
  sudo('chmod', '755', path);
  return () => sudo('rm', '-f', path);
}
