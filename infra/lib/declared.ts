// `declared.json`: every number, name and attribute that `cargo xtask verify` compares with the live account.
//
// This schema is the contract between the two; its JSON Schema is `declared.schema.json`, written by a test.
// The groups are those of the assertions: a letter, then the number of the assertion.

import { z } from 'zod';

/** Raised when a property is removed or changes its meaning; further properties do not raise it. */
export const DECLARED_VERSION = 1;

const about = <T extends z.ZodType>(type: T, description: string) => type.meta({ description });
const name = (what: string) => about(z.string(), what);
const number = (what: string) => about(z.int(), what);
const yes = (what: string) => about(z.boolean(), what);
const nameList = (what: string) => about(z.array(z.string()), what);

const account = z.strictObject({
  id: about(z.string().nullable(), 'A1: the account, or null for that of the credentials'),
  region: name('A1: the region of everything'),
  stacks: about(
    z.array(
      z.strictObject({
        kind: z.enum(['registry', 'data', 'service', 'observability', 'pipeline']),
        name: z.string(),
        termination_protection: z.boolean(),
      }),
    ),
    'A2, A3: the stacks in the order of their deployment',
  ),
});

const service = z.strictObject({
  cluster: name('Name of the cluster'),
  name: name('Name of the service'),
  launch_type: name('FARGATE'),
  platform_version: name('LATEST'),
  min_tasks: number('B4: tasks that run at least'),
  minimum_healthy_percent: number('B5'),
  maximum_percent: number('B5'),
  circuit_breaker: about(
    z.strictObject({
      enable: z.boolean(),
      rollback: z.boolean(),
      threshold_type: z.string(),
      threshold_value: z.int(),
      reset_on_healthy_task: z.boolean(),
    }),
    'B6',
  ),
  deployment_alarms: nameList('B7: names of the alarms that end a deployment, with enable and rollback on'),
  strategy: name('B8: ROLLING; there are no early success criteria'),
  health_check_grace_period_seconds: number('B9'),
  availability_zone_rebalancing: name('B10'),
  enable_execute_command: yes('B11'),
  assign_public_ip: name('B12: ENABLED or DISABLED; subnets and security group are outputs'),
  container_name: name('B13'),
  container_port: number('B13; the target group is an output'),
  deployment_controller: name('B14: ECS, or absent'),
});

const tasks = z.strictObject({
  availability_zones: nameList('D4: where tasks may be'),
  distinct_zones_min: number('D4: in how many of them tasks are at least'),
});

const taskDefinition = z.strictObject({
  family: name('E1'),
  cpu: name('E: CPU units, a string as in the API'),
  memory: name('E: MiB, a string as in the API'),
  network_mode: name('E: awsvpc'),
  stop_timeout_seconds: number('E3'),
  readonly_root_filesystem: yes('E4'),
  user: name('E4: user:group, never root'),
  privileged: yes('E4'),
  dropped_capabilities: nameList('E4'),
  entry_point: nameList('E'),
  command: nameList('E'),
  health_check: about(
    z.strictObject({
      command: z.array(z.string()),
      interval_seconds: z.int(),
      timeout_seconds: z.int(),
      retries: z.int(),
      start_period_seconds: z.int(),
    }),
    'E: the check inside the container',
  ),
  log_group: name('E5'),
  log_mode: name('E5: non-blocking'),
  environment: about(
    z.record(z.string(), z.string().nullable()),
    'E6: plain settings; null for a value that is an output (KMS_KEY_ARN)',
  ),
  secrets: about(
    z.array(z.strictObject({ setting: z.string(), secret: z.string(), version_stage: z.string().nullable() })),
    'E6: settings that are references to secrets, by the name of the secret',
  ),
  cpu_architecture: name('E7'),
  task_role: name('E8: name of the role'),
  execution_role: name('E8: name of the role'),
  open_files: number('E: soft and hard limit'),
  revisions_retained: yes('E10: CloudFormation deregisters no revision'),
});

const registry = z.strictObject({
  repository: name('F3: name of the repository'),
  image: name('F: name of the repository, with the registry in front where that is no ECR; the full URI is an output'),
  tag_mutability: name('F3'),
  scan_on_push: yes('F4'),
  untagged_expiry_days: number('F6: the only lifecycle rule; none touches an image with a tag'),
});

const secrets = z.strictObject({
  names: nameList('G1: secrets that need a version in the stage AWSCURRENT'),
  key_alias: name('G2: alias of the key they are under'),
  deploy_role: about(z.string().nullable(), 'G4: name of the role of the pipeline, or null'),
});

const loadBalancer = z.strictObject({
  name: name('H1'),
  scheme: name('H1'),
  availability_zones: nameList('H1'),
  idle_timeout_seconds: number('H2'),
  client_keep_alive_seconds: number('H3'),
  http2: yes('H4'),
  drop_invalid_header_fields: yes('H5'),
  desync_mitigation_mode: name('H6'),
  deletion_protection: yes('H7'),
  access_logs: yes('H8'),
  firewall: about(z.string().nullable(), 'H9: name of the web ACL, or null'),
});

const listener = z.strictObject({
  https_port: number('I1'),
  ssl_policy: name('I1'),
  certificate_host: name('I3: the certificate covers it'),
  certificate_min_days: number('I3: days until it ends'),
  http_port: number('I4'),
  redirect_status: name('I4: HTTP_301, to https_port'),
  default_status: name('I: answer to any other host, never 404'),
  rule_priority: number('I5: the one rule besides the default'),
  rule_hosts: nameList('I5: it forwards these hosts'),
});

const targetGroup = z.strictObject({
  target_type: name('J1'),
  protocol: name('J1'),
  protocol_version: name('J1'),
  port: number('J1'),
  health_path: name('J2'),
  health_interval_seconds: number('J2'),
  health_timeout_seconds: number('J2'),
  healthy_threshold: number('J2'),
  unhealthy_threshold: number('J2'),
  health_matcher: name('J2'),
  stickiness: yes('J3'),
  stickiness_type: name('J3'),
  stickiness_seconds: number('J3'),
  deregistration_delay_seconds: number('J4'),
  slow_start_seconds: number('J5'),
  algorithm: name('J5'),
});

const network = z.strictObject({
  ingress_cidrs: nameList('K1: who reaches the load balancer'),
  ingress_ports: about(z.array(z.int()), 'K1: on which ports'),
  task_port: number('K1: the load balancer reaches tasks here, nobody else does'),
  peer_port: number('K1: tasks reach each other here, nobody else does'),
  egress_ports: about(z.array(z.int()), 'K1: what tasks reach outside'),
});

const scaling = z.strictObject({
  min_tasks: number('K2'),
  max_tasks: number('K2'),
  cpu_percent: number('K2: target of the policy `<service>-cpu`'),
  connections_per_task: number('K2: target of the policy `<service>-streams`; a stream is two connections'),
  scale_in_cooldown_seconds: number('K2'),
  scale_out_cooldown_seconds: number('K2'),
});

const signals = z.strictObject({
  alarms: nameList('K3: alarms besides those of a deployment'),
  log_retention_days: number('K5'),
  queries: nameList('K: saved queries'),
  dashboard: name('K: name of the dashboard'),
  ping: name('K: name of the function that pings'),
  ping_minutes: number('K: how often'),
});

const data = z.strictObject({
  tables: nameList('M1: names of the tables'),
  partition_key: name('M1'),
  billing_mode: name('M1'),
  time_to_live_attribute: name('M2'),
  point_in_time_recovery: yes('M3'),
  point_in_time_recovery_days: number('M3'),
  deletion_protection: yes('M4'),
  encryption: name('M5: KMS, under the key of `key_alias`'),
  key_alias: name('M6'),
  key_rotation: yes('M6'),
});

const live = z.strictObject({
  url: name('L: the origin'),
  host: name('L1'),
  mcp_paths: nameList('L9: where MCP is served'),
  health_path: name('L'),
  stream_comment_seconds: number('L14: longest silence of a stream, plus a little'),
  stream_open_seconds_min: number('L14: a stream outlives the idle timeout'),
  connection_idle_seconds: about(z.array(z.int()), 'L15: an idle connection is reused after so long, without a 502'),
  call_seconds_max: number('L16: the longest call that succeeds'),
});

const timeout = z.strictObject({
  name: z.string(),
  layer: z.string(),
  seconds: z.number(),
  source: z.string(),
});

const output = z.strictObject({ stack: z.string(), key: z.string() });

/** The whole file. */
export const Declared = z.strictObject({
  version: about(z.literal(DECLARED_VERSION), 'A reader refuses another number'),
  environment: name('Name of the environment'),
  account,
  service,
  tasks,
  task_definition: taskDefinition,
  registry,
  secrets,
  load_balancer: loadBalancer,
  listener,
  target_group: targetGroup,
  network,
  scaling,
  signals,
  data,
  live,
  timeouts: about(z.array(timeout), 'The timeout ladder, for people and the start-up log'),
  parameters: about(
    z.strictObject({
      prefix: name('SSM: below it the release tool keeps its ledger and lock'),
      image_digest: name('SSM: `sha256:...` of the released image; CloudFormation reads it, the release tool writes it'),
    }),
    'What the release tool and CloudFormation share',
  ),
  outputs: about(z.record(z.string(), output), 'Values that only the account knows: which output of which stack'),
});

/** What `synth` writes. */
export type Declared = z.infer<typeof Declared>;

/** The JSON Schema of the file, for readers in other languages. */
export function declaredJsonSchema(): unknown {
  return z.toJSONSchema(Declared, { target: 'draft-2020-12' });
}
