// Runs the real `cargo xtask deploy`, `rollback` and `lock` against ministack with real containers.
//
// What no emulator has (a breaker that cannot go back, a deployment that is stopped where it is, archived images) is tested
// against an account in memory, in `xtask/src/release/tests`.

import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { Aws, emulatorVariables } from './aws.ts';
import { cdk } from './cdk.ts';
import { serveImages, type Registry } from './image.ts';
import { freePort, Machines, type Bridge } from './machines.ts';
import type { Report } from './report.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BRIDGE: Bridge = { name: 'mcpgw-release', address: '10.79.0.1' };
const NAME = 'mcp-gateway-local';

/** Groups of assertions that hold without a place to look at; the others are for `cargo xtask local rehearse`. */
const GATE = 'AGI';

/** How a run of xtask ended. */
interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A release, as far as this looks at one. */
interface Entry {
  readonly release: number;
  readonly status: string;
  readonly hold: boolean;
  readonly digest: string;
  readonly copy_of: number | null;
}

/** An environment that is released to. */
class Rehearsal {
  private readonly report: Report;
  private readonly xtask: string;
  private readonly endpoint: string;
  private readonly registry: Registry;
  private readonly aws: Aws;
  private readonly variables: Record<string, string>;

  constructor(parts: { report: Report; xtask: string; endpoint: string; registry: Registry; aws: Aws; variables: Record<string, string> }) {
    this.variables = parts.variables;
    this.report = parts.report;
    this.xtask = parts.xtask;
    this.endpoint = parts.endpoint;
    this.registry = parts.registry;
    this.aws = parts.aws;
  }

  async all(): Promise<void> {
    const steps: [string, () => Promise<string>][] = [
      ['from nothing to a verified release, by one command', () => this.first()],
      ['the same again changes nothing', () => this.again()],
      ['another image is another release', async () => this.wants(await this.deploy('two', '--skip-stacks'), 0, 'two', '1 verified, 2 verified')],
      ['an image that crashes is sent back, with its exit code on the screen', () => this.crash()],
      ['what was sent back is held', async () => this.says(await this.deploy('crash', '--skip-stacks'), 1, 'held')],
      ['of two at once one wins, and the other says who', () => this.race()],
      ['killed on the way, the next run goes on', () => this.killed()],
      ['a rollback goes to the last other verified release', () => this.rollback()],
      ['a locked environment is left alone, and says why', () => this.locked()],
    ];
    for (const [what, run] of steps) if (!(await this.report.step(what, run))) return;
  }

  private image(name: string): string {
    return `${this.registry.address}/${NAME}@${this.registry.images[name]?.digest ?? ''}`;
  }

  private start(...parameters: string[]): { child: ChildProcess; ended: Promise<Ended>; said: () => string } {
    const [verb = '', ...rest] = parameters;
    const place = ['--env', 'local', '--target', 'local', '--endpoint', this.endpoint];
    const action = verb === 'lock' ? [verb, rest.shift() ?? ''] : [verb];
    const child = spawn(this.xtask, [...action, ...place, ...rest], { cwd: ROOT, env: { ...process.env, ...this.variables }, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    child.stdout.on('data', (bytes: Buffer) => (output.stdout += String(bytes)));
    child.stderr.on('data', (bytes: Buffer) => (output.stderr += String(bytes)));
    const ended = new Promise<Ended>((resolve) => child.once('close', (code) => resolve({ code, ...output })));
    return { child, ended, said: () => output.stderr };
  }

  private deploy(name: string, ...more: string[]): Promise<Ended> {
    return this.begin(name, ...more).ended;
  }

  private begin(name: string, ...more: string[]): ReturnType<Rehearsal['start']> {
    return this.start('deploy', '--image', this.image(name), '--sha', name.padEnd(10, '0'), '--only', GATE, '--bake-seconds', '0', ...more);
  }

  private async releases(): Promise<Entry[]> {
    const { stdout, stderr } = await this.start('releases', '--json').ended;
    if (stdout === '') throw new Error(stderr);
    return (JSON.parse(stdout) as { releases: Entry[] }).releases.reverse();
  }

  /** The exit code, the image that runs, that nothing else would be started, and the ledger. */
  private async wants(ended: Ended, code: number, name: string, ledger: string): Promise<string> {
    const service = await this.aws.call('ecs', 'describe_services', { cluster: NAME, services: [NAME] });
    const revision = String((service['services'] as Record<string, unknown>[])[0]?.['taskDefinition']);
    const { taskDefinition } = (await this.aws.call('ecs', 'describe_task_definition', { taskDefinition: revision })) as {
      taskDefinition: { containerDefinitions: { image: string }[] };
    };
    const { taskDefinitionArns } = await this.aws.call('ecs', 'list_task_definitions', { familyPrefix: NAME, sort: 'DESC' });
    const parameter = (await this.aws.call('ssm', 'get_parameter', { Name: '/mcp-gateway/local/image-digest' })) as { Parameter: { Value: string } };
    const said = (await this.releases()).map(({ release, status, hold }) => `${release} ${status}${hold ? ' held' : ''}`).join(', ');
    const problems = [
      ended.code === code ? '' : `it ended with ${String(ended.code)}`,
      taskDefinition.containerDefinitions[0]?.image === this.image(name) ? '' : `${String(taskDefinition.containerDefinitions[0]?.image)} runs`,
      (taskDefinitionArns as string[])[0] === revision ? '' : `the newest revision is ${String((taskDefinitionArns as string[])[0])}`,
      parameter.Parameter.Value === this.registry.images[name]?.digest ? '' : `CloudFormation would describe ${parameter.Parameter.Value}`,
      said === ledger ? '' : `the ledger says ${said}`,
    ].filter(Boolean);
    return problems.length === 0 ? '' : [...problems, lastLines(ended)].join('\n');
  }

  private async says(ended: Ended, code: number, text: string): Promise<string> {
    const isSaid = ended.code === code && `${ended.stdout}${ended.stderr}`.includes(text);
    return isSaid ? '' : `it ended with ${String(ended.code)}, and not with \`${text}\`\n${lastLines(ended)}`;
  }

  /** What a person does once: bootstrap, a hosted zone. The registry of an emulator knows images by their manifests only. */
  private async first(): Promise<string> {
    const ended = await this.deploy('one');
    if (ended.code !== 0) return lastLines(ended);
    for (const [name, { manifest }] of Object.entries(this.registry.images)) {
      await this.aws.call('ecr', 'put_image', { repositoryName: NAME, imageManifest: manifest, imageTag: name });
    }
    return this.wants(ended, 0, 'one', '1 verified');
  }

  private async again(): Promise<string> {
    const ended = await this.deploy('one');
    return (await this.says(ended, 0, 'verified again')) || this.wants(ended, 0, 'one', '1 verified');
  }

  private async crash(): Promise<string> {
    const ended = await this.deploy('crash', '--skip-stacks');
    const problem = await this.wants(ended, 1, 'two', '1 verified, 2 verified, 3 rolled-back held');
    return problem || this.says(ended, 1, 'exit code 64, its configuration is wrong');
  }

  private async race(): Promise<string> {
    const runs = [this.begin('three', '--skip-stacks'), this.begin('three', '--skip-stacks')];
    const [one, other] = (await Promise.all(runs.map(({ ended }) => ended))).sort((left, right) => Number(left.code) - Number(right.code));
    if (one === undefined || other === undefined) return 'there were not two';
    const problem = await this.says(other, 1, '`local` is locked by');
    return problem || this.wants(one, 0, 'three', '1 verified, 2 verified, 3 rolled-back held, 4 verified');
  }

  /** Without a chance to clean up, right after the service was told to move. */
  private async killed(): Promise<string> {
    const { child, ended, said } = this.begin('four', '--skip-stacks');
    while (!said().includes('the service moves') && child.exitCode === null) await sleep(20);
    child.kill('SIGKILL');
    await ended;
    const pending = (await this.releases()).at(-1)?.status;
    if (pending !== 'pending') return `the release is ${String(pending)} after the kill`;
    const next = await this.deploy('four', '--skip-stacks');
    const problem = await this.says(next, 0, 'of a process that is gone');
    return problem || this.wants(next, 0, 'four', '1 verified, 2 verified, 3 rolled-back held, 4 verified, 5 verified');
  }

  private async rollback(): Promise<string> {
    const ended = await this.start('rollback', '--only', GATE).ended;
    const problem = await this.wants(ended, 0, 'three', '1 verified, 2 verified, 3 rolled-back held, 4 verified, 5 rolled-back held, 6 verified');
    return problem || ((await this.releases()).at(-1)?.copy_of === 4 ? '' : 'it is no copy of 4');
  }

  private async locked(): Promise<string> {
    const taken = await this.start('lock', 'acquire', '--message', 'an incident').ended;
    if (taken.code !== 0) return lastLines(taken);
    const refused = await this.says(await this.deploy('two', '--skip-stacks'), 1, 'an incident');
    await this.start('lock', 'release').ended;
    const status = await this.start('lock', 'status').ended;
    return refused || this.says(status, 0, 'nobody has it');
  }
}

function lastLines({ stdout, stderr }: Ended): string {
  return `${stdout}${stderr}`.trim().split('\n').slice(-25).join('\n');
}

/** Starts everything, rehearses, and stops everything. */
export async function rehearse(report: Report, directory: string, pythons: { ministack: string; aws: string }, xtask: string): Promise<void> {
  const machines = new Machines(directory, BRIDGE);
  const registry = await serveImages({ one: {}, two: {}, three: {}, four: {}, crash: { exitCode: 64 } });
  const stop = () => void machines.stop().finally(() => process.exit(1));
  process.once('SIGTERM', stop).once('SIGINT', stop);
  try {
    const docker = process.arch === 'x64' ? await machines.docker() : { missing: 'the images are for x86-64' };
    if ('missing' in docker) return report.notRun('releases on an emulator', docker.missing);
    const endpoint = await machines.ministack(pythons.ministack, BRIDGE.address, await freePort(), docker.socket, registry.address);
    const variables = emulatorVariables(endpoint, 'AKIAMINI');
    const aws = new Aws(pythons.ministack, variables);
    await aws.call('route53', 'create_hosted_zone', { Name: 'local.example.com', CallerReference: 'release' });
    await cdk(variables, 'bootstrap', 'aws://123456789012/us-east-1');
    await new Rehearsal({ report, xtask, endpoint, registry, aws, variables: await machines.awsCommandLine(pythons.aws) }).all().finally(() => aws.close());
  } finally {
    registry.close();
    await machines.stop();
    process.off('SIGTERM', stop).off('SIGINT', stop);
  }
}
