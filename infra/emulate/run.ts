// Deploys the `local` environment on emulators by the CDK CLI, and compares what is live with what is declared.

import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { build, changed, type Built } from '../test/support/templates.ts';
import { load } from '../config/load.ts';
import { Aws, emulatorVariables } from './aws.ts';
import { cdk } from './cdk.ts';
import { differences, unread, type Difference } from './compare.ts';
import { filterAssembly, UNKNOWN_TYPES, type Dropped } from './filter.ts';
import { isAbout, LOST_BY_MINISTACK, NOT_READ_FROM_MINISTACK, type Gap } from './gaps.ts';
import { serveImages, type Registry } from './image.ts';
import { readAccount, readListener, readLoadBalancer, readOutputs, readRegistryAndSecrets, readService, readTargetGroup, readTaskDefinition, type Live, type Outputs } from './live.ts';
import { readData, readNetwork, readSignals } from './live-rest.ts';
import { freePort, Machines, type Bridge } from './machines.ts';
import { readByMoto } from './moto.ts';
import type { Report } from './report.ts';
import { takeBack } from './taken-back.ts';

/** The interpreters with the emulators. */
export interface Pythons {
  readonly ministack: string;
  readonly moto: string;
}

const BRIDGE: Bridge = { name: 'mcpgw-infra', address: '10.77.0.1' };

/** One run: the emulators, the image, and what is deployed. */
class Run {
  private readonly report: Report;
  private readonly directory: string;
  private readonly aws: Aws;
  private readonly variables: Record<string, string>;
  private readonly emulated: { endpoint: string; registry: string };
  private readonly zone: string;

  private constructor(parts: { report: Report; directory: string; aws: Aws; endpoint: string; zone: string; image: Registry; variables: Record<string, string> }) {
    this.report = parts.report;
    this.directory = parts.directory;
    this.aws = parts.aws;
    this.variables = parts.variables;
    this.zone = parts.zone;
    this.emulated = { endpoint: parts.endpoint, registry: parts.image.address };
  }

  /** What a person does once in a fresh account: a hosted zone, and the digest of the first image. */
  static async prepare(report: Report, directory: string, python: string, endpoint: string, image: Registry): Promise<Run> {
    const variables = emulatorVariables(endpoint, 'AKIAINFRA');
    const aws = new Aws(python, variables);
    const zone = (await aws.call('route53', 'create_hosted_zone', { Name: 'local.example.com', CallerReference: 'infra' })) as { HostedZone: { Id: string } };
    await aws.call('ssm', 'put_parameter', { Name: '/mcp-gateway/local/image-digest', Type: 'String', Value: image.images['waits']?.digest, Overwrite: true });
    return new Run({ report, directory, aws, endpoint, variables, image, zone: zone.HostedZone.Id.split('/').at(-1) ?? '' });
  }

  close(): void {
    this.aws.close();
  }

  /** Builds `local` with changes, for the emulators of this run. */
  private build(changes: Parameters<typeof changed>[1]): Built {
    const zone = { kind: 'hosted-zone', zoneId: this.zone, zoneName: 'local.example.com' } as const;
    return build(load(changed('local', { ...changes, domain: { dns: zone }, emulated: this.emulated })));
  }

  /** Copies the assembly, filters it and deploys it. */
  private async deploy(built: Built, name: string): Promise<Dropped[]> {
    const assembly = join(this.directory, name);
    rmSync(assembly, { recursive: true, force: true });
    cpSync(built.stage.outdir, assembly, { recursive: true });
    const dropped = filterAssembly(assembly);
    writeFileSync(join(assembly, 'declared.json'), JSON.stringify(built.declared, null, 2));
    await cdk(this.variables, 'deploy', '--app', assembly, '--all', '--require-approval', 'never', '--concurrency', '2');
    return dropped;
  }

  /** Everything, one step after the other; a step that fails ends the run, because the next stands on it. */
  async all(hasDocker: boolean): Promise<void> {
    const { report } = this;
    const first = this.build({});
    let outputs: Outputs = {};
    const steps: [string, () => Promise<string>][] = [
      ['cdk bootstrap', async () => (await cdk(this.variables, 'bootstrap', '--app', first.stage.outdir, 'aws://123456789012/us-east-1'), '')],
      ['cdk deploy creates five stacks', async () => this.accountFor(await this.deploy(first, 'create'))],
      ['what the filter took out is applied by API where ministack has one', async () => {
        outputs = await readOutputs(this.aws, first.declared);
        return this.connectGroups(first, outputs);
      }],
      ['everything is live as declared, except for the listed gaps', () => this.compareAll(first, outputs)],
      ['the published shape is registered as it is, and moves the service', () => this.release(first, outputs)],
      ['tasks run and are registered with the load balancer', () => this.tasksRun(first, outputs)],
      ['a deploy without a change changes nothing', () => this.noChange(first)],
      ['a change of the shape registers a revision and moves nothing', () => this.change(first)],
      ['changes by hand are found by name', () => this.drift(outputs)],
      ['cdk destroy removes every stack', () => this.destroy(first)],
      ['a creation that is taken back leaves only protected tables, an update everything', () => takeBack(this.aws, this.build({ protection: { deletion: true } }))],
    ];
    for (const [what, run] of steps) {
      if (!hasDocker && what.startsWith('tasks run')) continue;
      if (!(await report.step(what, run))) return;
    }
  }

  /** Says what was taken out. Nothing but the known types, and each of them is still in the template. */
  private async accountFor(dropped: Dropped[]): Promise<string> {
    for (const type of [...new Set(dropped.map((one) => one.type))].sort()) {
      const ids = dropped.filter((one) => one.type === type).map(({ id }) => id);
      process.stdout.write(`      taken out for ministack: ${ids.length} × ${type}\n`);
    }
    const unused = [...UNKNOWN_TYPES].filter((type) => !dropped.some((one) => one.type === type));
    return unused.length > 0 ? `the filter knows types that no template has: ${unused.join(', ')}` : '';
  }

  /** Rules between security groups, which ministack takes by API. */
  private async connectGroups(built: Built, outputs: Outputs): Promise<string> {
    const groups: Record<string, string | undefined> = {
      NetworkLoadBalancerGroupA05A4557: outputs['load_balancer_security_group_id'],
      NetworkTaskGroup9D65069C: outputs['task_security_group_id'],
    };
    const id = (reference: unknown) => groups[(reference as { 'Fn::GetAtt': string[] })['Fn::GetAtt'][0] ?? ''];
    for (const { Type, Properties } of Object.values(built.templates.service.Resources)) {
      const isIngress = Type === 'AWS::EC2::SecurityGroupIngress';
      if (!isIngress && Type !== 'AWS::EC2::SecurityGroupEgress') continue;
      const other = id(Properties[isIngress ? 'SourceSecurityGroupId' : 'DestinationSecurityGroupId']);
      await this.aws.call('ec2', isIngress ? 'authorize_security_group_ingress' : 'authorize_security_group_egress', {
        GroupId: id(Properties['GroupId']),
        IpPermissions: [{ IpProtocol: 'tcp', FromPort: Properties['FromPort'], ToPort: Properties['ToPort'], UserIdGroupPairs: [{ GroupId: other }] }],
      });
    }
    return '';
  }

  private async compareAll(built: Built, outputs: Outputs): Promise<string> {
    const live = await this.read(built, outputs);
    return [
      ...exactly('differs', differences(built.declared, live), LOST_BY_MINISTACK.filter((gap) => gap.instead !== 'ministack by API')),
      ...uncovered(unread(built.declared, live)),
    ].join('\n');
  }

  private async read(built: Built, outputs: Outputs): Promise<Live> {
    const { aws } = this;
    const { declared } = built;
    const shape = JSON.parse(outputs['task_definition_shape'] ?? '') as Record<string, unknown>;
    const registered = (await aws.call('ecs', 'register_task_definition', shape)) as { taskDefinition: { taskDefinitionArn: string } };
    const secrets = [outputs['google_secret_arn'] ?? '', outputs['session_secret_arn'] ?? ''];
    const secretName = (reference: string) => declared.secrets.names[secrets.indexOf(reference)] ?? reference;
    const zones = await aws.call('ec2', 'describe_subnets', { SubnetIds: outputs['task_subnet_ids']?.split(',') });
    return {
      ...(await readAccount(aws, declared)),
      ...(await readService(aws, declared)),
      ...(await readTaskDefinition(aws, registered.taskDefinition.taskDefinitionArn, secretName)),
      ...(await readRegistryAndSecrets(aws, declared)),
      ...(await readLoadBalancer(aws, declared, outputs)),
      ...(await readListener(aws, outputs)),
      ...(await readTargetGroup(aws, outputs)),
      ...(await readNetwork(aws, outputs['load_balancer_security_group_id'] ?? '', outputs['task_security_group_id'] ?? '')),
      ...(await readSignals(aws, declared)),
      ...(await readData(aws, declared, outputs)),
      tasks: { availability_zones: (zones['Subnets'] as { AvailabilityZone: string }[]).map((subnet) => subnet.AvailabilityZone) },
    };
  }

  /** What the release tool does with a new image: another revision of the same shape. */
  private async release(built: Built, outputs: Outputs): Promise<string> {
    await this.aws.call('secretsmanager', 'put_secret_value', { SecretId: built.declared.secrets.names[0], SecretString: 'of the emulator' });
    const revision = await this.register(built, outputs);
    const pointer = await this.pointer(built);
    return pointer === revision ? '' : `the service is at ${pointer}`;
  }

  private async register(built: Built, outputs: Outputs): Promise<string> {
    const { cluster, name } = built.declared.service;
    const shape = JSON.parse(outputs['task_definition_shape'] ?? '') as Record<string, unknown>;
    const { taskDefinition } = (await this.aws.call('ecs', 'register_task_definition', shape)) as { taskDefinition: { taskDefinitionArn: string } };
    await this.aws.call('ecs', 'update_service', { cluster, service: name, taskDefinition: taskDefinition.taskDefinitionArn });
    return taskDefinition.taskDefinitionArn;
  }

  private async service(built: Built): Promise<Record<string, unknown>> {
    const { cluster, name } = built.declared.service;
    const { services } = (await this.aws.call('ecs', 'describe_services', { cluster, services: [name] })) as { services: Record<string, unknown>[] };
    return services[0] ?? {};
  }

  private async pointer(built: Built): Promise<string> {
    return String((await this.service(built))['taskDefinition']);
  }

  private async tasksRun(built: Built, outputs: Outputs): Promise<string> {
    for (const end = Date.now() + 30_000; ; await sleep(200)) {
      const service = await this.service(built);
      const health = await this.aws.call('elbv2', 'describe_target_health', { TargetGroupArn: outputs['target_group_arn'] });
      const targets = health['TargetHealthDescriptions'] as { Target: { Port: number } }[];
      const running = Number(service['runningCount']);
      if (running > 0 && running === service['desiredCount'] && targets.some(({ Target }) => Target.Port === 3000)) return '';
      if (Date.now() > end) return `${running} of ${String(service['desiredCount'])} tasks run, ${targets.length} targets; ${await this.stoppedReasons(built)}`;
    }
  }

  private async stoppedReasons(built: Built): Promise<string> {
    const { cluster } = built.declared.service;
    const { taskArns } = (await this.aws.call('ecs', 'list_tasks', { cluster, desiredStatus: 'STOPPED' })) as { taskArns: string[] };
    if (taskArns.length === 0) return 'no task was started';
    const { tasks } = (await this.aws.call('ecs', 'describe_tasks', { cluster, tasks: taskArns })) as { tasks: { stoppedReason?: string }[] };
    return [...new Set(tasks.map(({ stoppedReason }) => stoppedReason ?? 'no reason'))].join('; ');
  }

  private async noChange(built: Built): Promise<string> {
    const before = await this.stackTimes(built);
    const pointer = await this.pointer(built);
    await this.deploy(built, 'again');
    const after = await this.stackTimes(built);
    if (JSON.stringify(before) !== JSON.stringify(after)) return `stacks changed: ${JSON.stringify(after)}`;
    const now = await this.pointer(built);
    return now === pointer ? '' : `the service moved from ${pointer} to ${now}`;
  }

  private async stackTimes(built: Built): Promise<Record<string, string>> {
    const times: Record<string, string> = {};
    for (const { name } of built.declared.account.stacks) {
      const { Stacks } = (await this.aws.call('cloudformation', 'describe_stacks', { StackName: name })) as { Stacks: Record<string, unknown>[] };
      times[name] = `${String(Stacks[0]?.['StackStatus'])} ${String(Stacks[0]?.['LastUpdatedTime'] ?? '')}`;
    }
    return times;
  }

  private async change(before: Built): Promise<string> {
    const after = this.build({ timeouts: { idleTimeoutSeconds: 240, deregistrationDelaySeconds: 330 }, gateway: { settings: { LOG_LEVEL: 'debug' } } });
    const pointer = await this.pointer(before);
    await this.deploy(after, 'update');
    const outputs = await readOutputs(this.aws, after.declared);
    await this.connectGroups(after, outputs).catch(() => '');
    const problems = await this.compareAll(after, outputs);
    const now = await this.pointer(after);
    const { taskDefinition: first } = (await this.aws.call('ecs', 'describe_task_definition', { taskDefinition: `${after.declared.service.name}:1` })) as { taskDefinition: { status: string } };
    return [
      problems,
      now === pointer ? '' : `the service moved from ${pointer} to ${now}`,
      first.status === 'ACTIVE' ? '' : `the first revision is ${first.status}: nobody can roll back to it`,
    ].filter(Boolean).join('\n');
  }

  /** What people do in the console, and the property under which `verify` would name it. */
  private async drift(outputs: Outputs): Promise<string> {
    const built = this.build({ timeouts: { idleTimeoutSeconds: 240, deregistrationDelaySeconds: 330 }, gateway: { settings: { LOG_LEVEL: 'debug' } } });
    const attribute = (operation: string, target: Record<string, unknown>, Key: string, Value: string) =>
      this.aws.call('elbv2', operation, { ...target, Attributes: [{ Key, Value }] });
    const balancer = { LoadBalancerArn: outputs['load_balancer_arn'] };
    const group = { TargetGroupArn: outputs['target_group_arn'] };
    await attribute('modify_load_balancer_attributes', balancer, 'idle_timeout.timeout_seconds', '60');
    await attribute('modify_target_group_attributes', group, 'stickiness.enabled', 'false');
    await attribute('modify_target_group_attributes', group, 'deregistration_delay.timeout_seconds', '0');
    await this.aws.call('ec2', 'revoke_security_group_ingress', {
      GroupId: outputs['load_balancer_security_group_id'],
      IpPermissions: [{ IpProtocol: 'tcp', FromPort: 443, ToPort: 443, IpRanges: [{ CidrIp: '0.0.0.0/0' }] }],
    });
    const wanted = ['load_balancer.idle_timeout_seconds', 'network.ingress_ports', 'target_group.deregistration_delay_seconds', 'target_group.stickiness'];
    const found = differences(built.declared, await this.read(built, await readOutputs(this.aws, built.declared)))
      .map(({ path }) => path)
      .filter((path) => !LOST_BY_MINISTACK.some((gap) => gap.path === path));
    return JSON.stringify([...found].sort()) === JSON.stringify(wanted) ? '' : `found ${found.join(', ')}`;
  }

  private async destroy(built: Built): Promise<string> {
    await cdk(this.variables, 'destroy', '--app', join(this.directory, 'update'), '--all', '--force');
    const { StackSummaries } = (await this.aws.call('cloudformation', 'list_stacks')) as { StackSummaries: { StackName: string; StackStatus: string }[] };
    const names = new Set(built.declared.account.stacks.map(({ name }) => name));
    const left = StackSummaries.filter(({ StackName, StackStatus }) => names.has(StackName) && StackStatus !== 'DELETE_COMPLETE');
    return left.length === 0 ? '' : `left: ${left.map(({ StackName, StackStatus }) => `${StackName} ${StackStatus}`).join(', ')}`;
  }
}

/** Differences that are no listed gap, and listed gaps that are none. */
function exactly(verb: string, found: Difference[], gaps: readonly Gap[]): string[] {
  const surprises = found
    .filter(({ path }) => !gaps.some((gap) => isAbout(gap, path)))
    .map(({ path, declared, live }) => `${path} ${verb}: declared ${JSON.stringify(declared)}, live ${JSON.stringify(live)}`);
  const closed = gaps
    .filter((gap) => !found.some(({ path }) => isAbout(gap, path)))
    .map(({ path }) => `${path} is read back as declared: take it out of \`emulate/gaps.ts\``);
  return [...surprises, ...closed];
}

/** Declared properties that nothing reads and nobody lists. */
function uncovered(paths: string[]): string[] {
  return paths.filter((path) => !NOT_READ_FROM_MINISTACK.some((gap) => isAbout(gap, path))).map((path) => `${path} is read by nothing and listed nowhere`);
}

/** Deploys on ministack, and reads on moto what ministack loses. */
export async function runEmulators(report: Report, directory: string, pythons: Pythons): Promise<void> {
  const machines = new Machines(directory, BRIDGE);
  const image = await serveImages({ waits: {} });
  const stop = () => void machines.stop().finally(() => process.exit(1));
  process.once('SIGTERM', stop).once('SIGINT', stop);
  try {
    const docker = process.arch === 'x64' ? await machines.docker() : { missing: 'the waiting image is for x86-64' };
    const socket = 'socket' in docker ? docker.socket : undefined;
    if ('missing' in docker) report.notRun('tasks in containers; the control plane is still deployed to', docker.missing);
    const endpoint = await machines.ministack(pythons.ministack, socket ? BRIDGE.address : '127.0.0.1', await freePort(), socket, image.address);
    const run = await Run.prepare(report, directory, pythons.ministack, endpoint, image);
    const onMoto = report.step('what ministack loses is set on moto by API and read back as declared', async () =>
      compareMoto(await machines.moto(pythons.moto, await freePort()), pythons.moto),
    );
    await Promise.all([run.all(socket !== undefined).finally(() => run.close()), onMoto]);
  } finally {
    image.close();
    await machines.stop();
    process.off('SIGTERM', stop).off('SIGINT', stop);
  }
}

async function compareMoto(endpoint: string, python: string): Promise<string> {
  const built = build(load(changed('local', {})));
  const aws = new Aws(python, emulatorVariables(endpoint, 'AKIAMOTO'));
  try {
    const live = await readByMoto(aws, built.templates, built.declared);
    const expected = [...LOST_BY_MINISTACK, ...NOT_READ_FROM_MINISTACK].filter(({ instead }) => instead === 'moto');
    const missing = unread(built.declared, live).filter((path) => expected.some((gap) => isAbout(gap, path)));
    return [...exactly('differs', differences(built.declared, live), []), ...missing.map((path) => `${path} is not read from moto`)].join('\n');
  } finally {
    aws.close();
  }
}
