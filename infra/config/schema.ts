// The configuration of one environment: every property with its unit, bounds, default and reason.
//
// Combinations that are unsafe together are refused in `unsafe.ts`.

import { z } from 'zod';

import { choice, count, flag, seconds, text, texts } from './property.ts';

const HOST = /^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}$/;
const HOST_PATTERN = /^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}$/;
const CIDR = /^(\d{1,3}\.){3}\d{1,3}\/\d{1,2}$/;
const ZONE = /^[a-z]{2}(-[a-z]+)+-\d[a-z]$/;

const domain = z.strictObject({
  host: text(HOST, 'a host name in lower case', 'What people paste, without scheme: `PUBLIC_URL` is `https://` and this.'),
  certificate: z
    .discriminatedUnion('kind', [
      z.strictObject({
        kind: z.literal('existing'),
        arn: text(
          /^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate\/[0-9a-f-]{36}$/,
          'the ARN of an ACM certificate',
          'A certificate that is renewed elsewhere.',
        ),
        names: z
          .array(z.string().regex(HOST_PATTERN, 'must be a host name or `*.` and one'))
          .min(1)
          .meta({ unit: 'list of host names', reason: 'The names in it, so that one that does not cover the host is refused here.' }),
      }),
      z.strictObject({ kind: z.literal('new') }),
    ])
    .default({ kind: 'new' })
    .meta({ unit: '`new` or `existing`', reason: 'A new one is validated by DNS and renews itself as long as its record stays.' }),
  dns: z
    .discriminatedUnion('kind', [
      z.strictObject({
        kind: z.literal('hosted-zone'),
        zoneId: text(/^Z[A-Z0-9]{5,31}$/, 'the id of a Route 53 hosted zone', 'Given, so that synth looks nothing up.'),
        zoneName: text(HOST, 'a domain', 'The name of that zone; the host is below it.'),
      }),
      z.strictObject({ kind: z.literal('external') }),
    ])
    .meta({ unit: '`hosted-zone` or `external`', reason: 'With `external` the stack prints the name that a CNAME has to point at.' }),
});

const zones = z
  .array(z.string().regex(ZONE, 'must be an availability zone such as `us-east-1a`'))
  .min(2)
  .max(3)
  .meta({ unit: 'list of 2 or 3 availability zones', reason: 'Named, so that synth looks nothing up; two, so that one may fail.' });

const network = z.strictObject({
  vpc: z
    .discriminatedUnion('kind', [
      z.strictObject({
        kind: z.literal('new-public'),
        cidr: text(CIDR, 'an IPv4 CIDR', 'The range of the new VPC.'),
      }),
      z.strictObject({
        kind: z.literal('new-private'),
        cidr: text(CIDR, 'an IPv4 CIDR', 'The range of the new VPC.'),
        natGateways: count([1, 3], 1, 'NAT gateways', 'One per zone survives the loss of a zone; one in all is cheaper.'),
      }),
      z.strictObject({
        kind: z.literal('existing'),
        id: text(/^vpc-[0-9a-f]{8,17}$/, 'the id of a VPC', 'Given, so that synth looks nothing up.'),
        publicSubnetIds: z.array(z.string().regex(/^subnet-[0-9a-f]{8,17}$/)).min(2).meta({
          unit: 'list of subnet ids, one per zone', reason: 'Where the load balancer is.',
        }),
        taskSubnetIds: z.array(z.string().regex(/^subnet-[0-9a-f]{8,17}$/)).min(2).meta({
          unit: 'list of subnet ids, one per zone', reason: 'Where the tasks are; they need a way out to Google.',
        }),
        assignPublicIp: flag(false, 'Needed where the task subnets have no NAT.'),
      }),
    ])
    .meta({
      unit: '`new-public`, `new-private` or `existing`',
      reason: 'Public tasks need no NAT gateway and are closed by their security group; private ones have no public address at all.',
    }),
  zones,
  scheme: choice(['internet-facing', 'internal'], 'internet-facing', 'An internal one is reached by VPN only.'),
  ingressCidrs: z
    .array(z.string().regex(CIDR, 'must be an IPv4 CIDR'))
    .min(1)
    .default(['0.0.0.0/0'])
    .meta({ unit: 'list of IPv4 CIDRs', reason: 'Who may reach 443 (and 80, which only redirects). The gateway authenticates everybody itself.' }),
  egressPorts: z
    .array(z.int().min(1).max(65_535))
    .default([443])
    .meta({ unit: 'list of TCP ports', reason: 'What tasks may call: Google, AWS and upstreams speak https. A federated server on another port adds it here.' }),
  flowLogs: flag(true, 'Who talked to whom is known after an incident only when it was written down before.'),
});

const task = z.strictObject({
  cpuUnits: count([256, 16_384], 512, 'CPU units', 'Measured: 10,000 idle streams and 100 calls per second fit into half a vCPU.'),
  memoryMiB: count([512, 122_880], 1024, 'MiB', 'Measured: twice what 10,000 idle streams need.'),
  architecture: choice(['X86_64', 'ARM64'], 'X86_64', 'Must be that of the image: the release tool builds for the machine it runs on.'),
});

const scaling = z.strictObject({
  minTasks: count([1, 100], 2, 'tasks', 'One task cannot be replaced without a gap.'),
  maxTasks: count([1, 100], 6, 'tasks', 'A bound on what a flood can cost.'),
  cpuPercent: count([10, 90], 60, 'percent', 'Leaves room for the herd that reconnects when a task is lost.'),
  streamsPerTask: count([100, 20_000], 5000, 'open streams', 'Half of what a task holds, so that the others can take over a lost one.'),
  scaleOutCooldownSeconds: seconds([10, 3600], 60, 'A started task needs about that long to count.'),
  scaleInCooldownSeconds: seconds([60, 7200], 600, 'Twice the drain, so that streams are not moved again and again.'),
  zoneRebalancing: choice(['ENABLED', 'DISABLED'], 'DISABLED', 'Moves tasks outside of deploys, which costs a reconnect of every stream on them.'),
});

const timeouts = z.strictObject({
  idleTimeoutSeconds: seconds([1, 4000], 300, 'The load balancer cuts a connection on which no byte moved for so long.'),
  clientKeepAliveSeconds: seconds([60, 604_800], 604_800, 'The longest life of a client connection at the load balancer: its maximum, because streams have no age limit.'),
  deregistrationDelaySeconds: seconds([0, 3600], 300, 'How long a leaving task finishes what it has: the longest call.'),
  stopTimeoutSeconds: seconds([2, 120], 120, 'From SIGTERM to SIGKILL; 120 is the maximum of Fargate.'),
  stickinessSeconds: seconds([1, 604_800], 3600, 'A hint that saves reads of the session row; nothing depends on it.'),
});

const health = z.strictObject({
  intervalSeconds: seconds([5, 300], 15, 'A bad task is out within 45 s.'),
  timeoutSeconds: seconds([2, 60], 10, 'Shorter than the interval; a busy task may be slow; 60 is the maximum of ECS.'),
  healthyThreshold: count([2, 10], 2, 'checks', 'A new task serves after 30 s.'),
  unhealthyThreshold: count([2, 10], 3, 'checks', 'One lost check is no illness.'),
  graceSeconds: seconds([0, 300], 60, 'A starting task is not judged; at least its start and two checks; 300 is the maximum of ECS.'),
});

const protection = z.strictObject({
  deletion: flag(true, 'Tables, key, secrets, registry and load balancer refuse to be deleted, and stacks to be destroyed.'),
  pointInTimeRecoveryDays: count([1, 35], 35, 'days', 'How far back a table can be restored.'),
  waf: flag(false, 'A rate limit per address, and no addresses with a bad name. The gateway has limits of its own.'),
  wafRequestsPerFiveMinutes: count([100, 2_000_000], 20_000, 'requests', 'A company often comes from one address: 2,000 people with 10 requests each.'),
});

const retention = z.strictObject({
  logDays: z
    .literal([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827], 'must be a number of days that CloudWatch Logs knows: 1, 3, 5, 7, 14, 30, 60, 90, ...')
    .default(7)
    .meta({ unit: 'days', reason: 'Logs name people; they are kept as long as an incident needs.' }),
  accessLogs: flag(true, 'The only record of requests that never reached a task, such as a 502.'),
  accessLogDays: count([1, 3650], 30, 'days', 'Access logs have addresses of people.'),
});

const google = z.strictObject({
  clientId: text(/^\S+$/, 'an OAuth client id', 'Public; its secret is in Secrets Manager.'),
  allowedDomain: text(HOST, 'a Workspace domain', 'Whose people may log in.'),
});

const gateway = z.strictObject({
  allowedOrigins: texts(/^https:\/\/\S+$/, 'https origins', 'Browser clients that may call.'),
  admins: texts(/^[^@\s]+@[^@\s]+$/, 'mail addresses', 'Who may use the admin API.'),
  upstreamsFile: z.string().optional().meta({ unit: 'a path below `infra/config`', reason: 'The MCP servers behind the gateway, as a TOML file that is reviewed like code.' }),
  rotateSessionSecret: flag(false, 'During a rotation the version of the secret before the current one still opens what it sealed.'),
  settings: z
    .record(z.string().regex(/^[A-Z][A-Z0-9_]*$/), z.string())
    .default({})
    .meta({ unit: 'settings of the gateway', reason: 'Anything else of its reference, checked against it by name and range.' }),
});

const alarms = z.strictObject({
  emails: texts(/^[^@\s]+@[^@\s]+$/, 'mail addresses', 'Who hears of alarms; each confirms once.'),
});

const github = z
  .strictObject({
    repository: text(/^[^/\s]+\/[^/\s]+$/, '`owner/name` as in the subject of a token', 'Repositories made after 2026-06-18 carry ids in it: read a real token.'),
    repositoryId: text(/^\d+$/, 'the numeric id of the repository', 'Names can be taken over, ids cannot.'),
    createProvider: flag(true, 'An account has one provider for GitHub; the second environment in it does not create another.'),
  })
  .optional()
  .meta({ unit: 'a GitHub repository', reason: 'Without it there is no pipeline stack.' });

const emulated = z
  .strictObject({
    endpoint: text(/^http:\/\/[\d.]+:\d+$/, 'the http URL of an emulator', 'Where tasks find AWS.'),
    registry: text(/^[\d.]+:\d+$/, '`address:port` of a registry', 'Where images are pulled from.'),
  })
  .optional()
  .meta({ unit: 'emulators', reason: 'For an environment on one machine; never in an account.' });

export const Config = z.strictObject({
  environment: text(/^[a-z][a-z0-9]{1,11}$/, '2 to 12 lower-case letters and digits', 'Part of every name, so that environments can share an account.'),
  region: text(/^[a-z]{2}(-[a-z]+)+-\d$/, 'an AWS region', 'The one of all stacks.'),
  domain,
  network,
  task: task.prefault({}),
  scaling: scaling.prefault({}),
  timeouts: timeouts.prefault({}),
  health: health.prefault({}),
  protection: protection.prefault({}),
  retention: retention.prefault({}),
  google,
  gateway: gateway.prefault({}),
  alarms: alarms.prefault({}),
  github,
  emulated,
});

/** A configuration with every default filled in. */
export type Config = z.output<typeof Config>;

/** A configuration as an environment writes it. */
export type ConfigInput = z.input<typeof Config>;
