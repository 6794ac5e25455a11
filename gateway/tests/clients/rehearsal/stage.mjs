// The stage that `cargo xtask local` holds, and the program under rehearsal.

import { execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

export const ROOT = resolve(import.meta.dirname, '../../../..');
export const ENVIRONMENT = ['--env', 'local', '--target', 'local'];
export const NAME = 'mcp-gateway-local';
export const MCP = 'https://mcp.local.example.com/mcp';
/** Hosts that no DNS knows. */
export const HOSTS = { 'mcp.local.example.com': '10.66.0.1', 'google.localhost': '10.66.0.1' };
/** Where the emulated AWS is. */
export const ENDPOINT = 'http://10.66.0.1:4566';
/** The `aws` command line of the stage. */
export const AWS = join(ROOT, '.dev/local/bin/aws');

const ready = () => JSON.parse(readFileSync(join(ROOT, '.dev/local/ready.json'), 'utf8'));
export const authority = () => ready().authority;
export const dockerHost = () => `unix://${ready().docker_socket}`;

const exec = promisify(execFile);

/** Runs a program and returns what it prints; an error has what it said. */
export async function run(program, args, options = {}) {
  const { stdout } = await exec(program, args, { maxBuffer: 64 << 20, ...options });
  return stdout.trim();
}

/** An answer of the emulated AWS. */
export async function aws(...args) {
  const variables = { AWS_ACCESS_KEY_ID: 'AKIAMINI', AWS_SECRET_ACCESS_KEY: 'emulated', AWS_EC2_METADATA_DISABLED: 'true' };
  const text = await run(AWS, ['--region', 'us-east-1', '--endpoint-url', ENDPOINT, '--output', 'json', ...args], { env: { ...process.env, ...variables } });
  return text === '' ? undefined : JSON.parse(text);
}

/** The container daemon of the stage. */
export const docker = (...args) => run('docker', ['--host', dockerHost(), ...args]);

/** `cargo xtask`, as it was built for this run. */
export class Xtask {
  /** `before`: the command that runs it; `env`: further variables. */
  constructor({ before = [], env = {} } = {}) {
    Object.assign(this, { before, env });
  }

  /** Runs a verb; what it says is passed on, and returned with its exit code. */
  async run(...args) {
    const began = Date.now();
    console.log(`$ cargo xtask ${args.join(' ')}`);
    const [program, ...parameters] = [...this.before, process.env.XTASK_BIN, ...args];
    const child = spawn(program, parameters, { cwd: ROOT, env: { ...process.env, ...this.env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const lines = [];
    const printed = [];
    for (const [stream, also] of [[child.stdout, printed], [child.stderr, []]]) {
      createInterface({ input: stream }).on('line', (line) => {
        lines.push(line);
        also.push(line);
        if (!args.includes('--json')) console.log(`    ${line}`);
      });
    }
    const code = await new Promise((resolve) => child.on('close', resolve));
    return { code, text: lines.join('\n'), printed: printed.join('\n'), seconds: Math.round((Date.now() - began) / 1_000) };
  }

  async json(...args) {
    const { printed, text } = await this.run(...args, '--json');
    if (printed === '') throw new Error(text);
    return JSON.parse(printed);
  }

  /** Every release, the first one first. */
  async releases() {
    return (await this.json('releases', ...ENVIRONMENT)).releases.reverse();
  }

  /** The image that was verified last. */
  async released() {
    return (await this.releases()).findLast(({ status }) => status === 'verified').image;
  }

  /** The image that the service runs. */
  async running() {
    const { services: [{ taskDefinition }] } = await aws('ecs', 'describe-services', '--cluster', NAME, '--services', NAME);
    const { taskDefinition: { containerDefinitions: [{ image }] } } = await aws('ecs', 'describe-task-definition', '--task-definition', taskDefinition);
    return image;
  }
}
