// The emulators of a run: a Docker daemon of our own, ministack in front of it, and moto. Stopping ends them all.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** A bridge of our own for each run, because two daemons on one bridge take it from each other. */
export interface Bridge {
  readonly name: string;
  /** The address of this machine on it; tasks and tools reach the emulator there alike. */
  readonly address: string;
}

const READY_SECONDS = 30;

const MINISTACK = fileURLToPath(new URL('more-of-ministack.py', import.meta.url));
const AWS_CLI = fileURLToPath(new URL('aws-cli.py', import.meta.url));

/** Started processes, in order. */
export class Machines {
  private readonly children: ChildProcess[] = [];
  private readonly directory: string;
  private readonly bridge: Bridge;
  private hasBridge = false;

  constructor(directory: string, bridge: Bridge) {
    this.directory = directory;
    this.bridge = bridge;
    mkdirSync(directory, { recursive: true });
  }

  /** Starts a Docker daemon; a text says why there is none. */
  async docker(): Promise<{ socket: string } | { missing: string }> {
    const dockerd = ['/usr/bin/dockerd', '/usr/sbin/dockerd', '/usr/local/bin/dockerd'].find((path) => existsSync(path));
    if (dockerd === undefined) return { missing: 'dockerd is not installed' };
    if (process.getuid?.() !== 0) return { missing: 'dockerd needs root' };
    try {
      this.createBridge();
    } catch (error) {
      return { missing: `no network bridge can be made: ${firstLine(error)}` };
    }
    const socket = join(this.directory, 'docker.sock');
    const options = {
      host: `unix://${socket}`,
      'data-root': join(this.directory, 'docker'),
      'exec-root': join(this.directory, 'exec'),
      pidfile: join(this.directory, 'dockerd.pid'),
      bridge: this.bridge.name,
      iptables: 'false',
      'ip-masq': 'false',
    };
    const child = this.start('dockerd', dockerd, Object.entries(options).map(([name, value]) => `--${name}=${value}`));
    const isReady = await this.ready(child, () => existsSync(socket) && answers({ path: socket }));
    return isReady ? { socket } : { missing: `dockerd does not start: ${this.lastLine('dockerd')}` };
  }

  /** Starts ministack; without a Docker daemon its tasks are only pretended. `registry` has the layers of its images. */
  async ministack(python: string, address: string, port: number, socket: string | undefined, registry: string): Promise<string> {
    const child = this.start('ministack', python, [MINISTACK], {
      BIND_HOST: address,
      MINISTACK_HOST: address,
      GATEWAY_PORT: String(port),
      MINISTACK_ACCOUNT_ID: '123456789012',
      IMAGE_REGISTRY: registry,
      DOCKER_HOST: `unix://${socket ?? join(this.directory, 'no-docker.sock')}`,
    });
    await this.expectReady('ministack', child, address, port);
    return `http://${address}:${port}`;
  }

  /** Loads the `aws` command line once; the variables make it what `aws` means to a child. */
  async awsCommandLine(python: string): Promise<Record<string, string>> {
    const socket = join(this.directory, 'aws.sock');
    const programs = join(this.directory, 'bin');
    mkdirSync(programs);
    writeFileSync(join(programs, 'aws'), `#!/bin/sh\nexec ${python} -IS ${AWS_CLI} "$@"\n`, { mode: 0o755 });
    const child = this.start('aws', python, [AWS_CLI, 'serve', socket]);
    if (!(await this.ready(child, () => existsSync(socket)))) throw new Error(`aws does not start: ${this.lastLine('aws')}`);
    return { PATH: `${programs}:${process.env['PATH'] ?? ''}`, AWS_CLI_SOCKET: socket };
  }

  /** Starts moto. */
  async moto(python: string, port: number): Promise<string> {
    const child = this.start('moto', python, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)]);
    await this.expectReady('moto', child, '127.0.0.1', port);
    return `http://127.0.0.1:${port}`;
  }

  /** Ends everything that was started, the last first. */
  async stop(): Promise<void> {
    for (const child of this.children.reverse()) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGTERM');
      await Promise.race([ended, sleep(15_000, undefined, { ref: false })]);
      child.kill('SIGKILL');
    }
    if (this.hasBridge) execFileSync('ip', ['link', 'delete', this.bridge.name]);
  }

  private createBridge(): void {
    const ip = (...parameters: string[]) => execFileSync('ip', parameters, { stdio: ['ignore', 'ignore', 'pipe'] });
    if (existsSync(`/sys/class/net/${this.bridge.name}`)) ip('link', 'delete', this.bridge.name);
    ip('link', 'add', this.bridge.name, 'type', 'bridge');
    this.hasBridge = true;
    ip('address', 'add', `${this.bridge.address}/24`, 'dev', this.bridge.name);
    ip('link', 'set', this.bridge.name, 'up');
  }

  private start(name: string, program: string, parameters: string[], variables: Record<string, string> = {}): ChildProcess {
    const child = spawn(program, parameters, { env: { ...process.env, ...variables }, stdio: ['ignore', 'pipe', 'pipe'] });
    const log = createWriteStream(join(this.directory, `${name}.log`));
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    this.children.push(child);
    return child;
  }

  private async expectReady(name: string, child: ChildProcess, host: string, port: number): Promise<void> {
    if (await this.ready(child, () => answers({ host, port }))) return;
    throw new Error(`${name} does not start: ${this.lastLine(name)}`);
  }

  private async ready(child: ChildProcess, check: () => boolean | Promise<boolean>): Promise<boolean> {
    for (const end = Date.now() + READY_SECONDS * 1000; Date.now() < end; await sleep(100)) {
      if (await check()) return true;
      if (child.exitCode !== null) return false;
    }
    return false;
  }

  private lastLine(name: string): string {
    const log = join(this.directory, `${name}.log`);
    return existsSync(log) ? (readFileSync(log, 'utf8').trim().split('\n').at(-1) ?? '') : 'no log';
  }
}

/** A port that nobody uses now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function answers(where: { path: string } | { host: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(where);
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
    socket.once('connect', () => socket.end());
  });
}

function firstLine(error: unknown): string {
  return String((error as { stderr?: Buffer }).stderr ?? error).trim().split('\n')[0] ?? '';
}
