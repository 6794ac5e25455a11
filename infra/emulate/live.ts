// Reads a live account into the words of `declared.json`, one group of assertions after the other.

import type { Declared } from '../lib/declared.ts';
import type { Answer, Aws } from './aws.ts';

/** What was read; a property that is missing was not asked for. */
export type Live = { [Group in keyof Declared]?: Partial<Declared[Group]> };

/** The outputs of the stacks, by their logical names. */
export type Outputs = Record<string, string>;

type Row = Record<string, unknown>;

const first = (answer: Answer, list: string): Row => ((answer[list] as Row[] | undefined) ?? [])[0] ?? {};
const rows = (answer: Answer, list: string): Row[] => (answer[list] as Row[] | undefined) ?? [];
const pairs = (answer: Answer): Record<string, string> =>
  Object.fromEntries(rows(answer, 'Attributes').map(({ Key, Value }) => [Key, Value]) as [string, string][]);
const text = (value: unknown): string => (value === undefined || value === null ? '' : String(value));
const list = (value: unknown): unknown[] => (value as unknown[] | undefined) ?? [];

/** Looks up every output that is declared. */
export async function readOutputs(aws: Aws, declared: Declared): Promise<Outputs> {
  const byStack = new Map<string, Record<string, string>>();
  for (const { name } of declared.account.stacks) {
    const stack = first(await aws.call('cloudformation', 'describe_stacks', { StackName: name }), 'Stacks');
    byStack.set(name, Object.fromEntries(rows(stack, 'Outputs').map(({ OutputKey, OutputValue }) => [OutputKey, OutputValue]) as [string, string][]));
  }
  return Object.fromEntries(
    Object.entries(declared.outputs).map(([name, { stack, key }]) => [name, byStack.get(stack)?.[key] ?? '']),
  );
}

/** A: the account and its stacks. */
export async function readAccount(aws: Aws, declared: Declared): Promise<Live> {
  const stacks = [];
  for (const { kind, name } of declared.account.stacks) {
    const stack = first(await aws.call('cloudformation', 'describe_stacks', { StackName: name }), 'Stacks');
    if (!/^(CREATE|UPDATE)_COMPLETE$/.test(text(stack['StackStatus']))) throw new Error(`the stack \`${name}\` is ${text(stack['StackStatus'])}`);
    stacks.push({ kind, name: text(stack['StackName']), termination_protection: stack['EnableTerminationProtection'] === true });
  }
  return { account: { stacks } };
}

/** B: the service. */
export async function readService(aws: Aws, declared: Declared): Promise<Live> {
  const { cluster, name } = declared.service;
  const service = first(await aws.call('ecs', 'describe_services', { cluster, services: [name] }), 'services');
  const deployment = (service['deploymentConfiguration'] ?? {}) as Row;
  const breaker = (deployment['deploymentCircuitBreaker'] ?? {}) as Row;
  const threshold = (breaker['thresholdConfiguration'] ?? {}) as Row;
  const vpc = ((service['networkConfiguration'] as Row | undefined)?.['awsvpcConfiguration'] ?? {}) as Row;
  const balancer = (list(service['loadBalancers'])[0] ?? {}) as Row;
  return {
    service: {
      cluster: text(service['clusterArn']).split('/').at(-1) ?? '',
      name: text(service['serviceName']),
      launch_type: text(service['launchType']),
      platform_version: text(service['platformVersion']),
      minimum_healthy_percent: deployment['minimumHealthyPercent'] as number,
      maximum_percent: deployment['maximumPercent'] as number,
      circuit_breaker: {
        enable: breaker['enable'] as boolean,
        rollback: breaker['rollback'] as boolean,
        threshold_type: text(threshold['type']),
        threshold_value: threshold['value'] as number,
        reset_on_healthy_task: breaker['resetOnHealthyTask'] as boolean,
      },
      deployment_alarms: list((deployment['alarms'] as Row | undefined)?.['alarmNames']) as string[],
      health_check_grace_period_seconds: service['healthCheckGracePeriodSeconds'] as number,
      availability_zone_rebalancing: text(service['availabilityZoneRebalancing']),
      enable_execute_command: service['enableExecuteCommand'] as boolean,
      assign_public_ip: text(vpc['assignPublicIp']),
      container_name: text(balancer['containerName']),
      container_port: balancer['containerPort'] as number,
      deployment_controller: text((service['deploymentController'] as Row | undefined)?.['type'] ?? 'ECS'),
    },
  };
}

/** E: a revision of the task definition. */
export async function readTaskDefinition(aws: Aws, revision: string, secretName: (reference: string) => string): Promise<Live> {
  const answer = await aws.call('ecs', 'describe_task_definition', { taskDefinition: revision });
  const definition = answer['taskDefinition'] as Row;
  const container = (list(definition['containerDefinitions'])[0] ?? {}) as Row;
  const health = (container['healthCheck'] ?? {}) as Row;
  const log = ((container['logConfiguration'] as Row | undefined)?.['options'] ?? {}) as Row;
  const linux = (container['linuxParameters'] as Row | undefined)?.['capabilities'] as Row | undefined;
  const files = (list(container['ulimits']) as Row[]).find(({ name }) => name === 'nofile');
  const environment = (list(container['environment']) as Row[]).map(({ name, value }) => [text(name), name === 'KMS_KEY_ARN' ? null : text(value)]);
  return {
    task_definition: {
      family: text(definition['family']),
      cpu: text(definition['cpu']),
      memory: text(definition['memory']),
      network_mode: text(definition['networkMode']),
      stop_timeout_seconds: container['stopTimeout'] as number,
      readonly_root_filesystem: container['readonlyRootFilesystem'] as boolean,
      user: text(container['user']),
      privileged: container['privileged'] as boolean,
      dropped_capabilities: list(linux?.['drop']) as string[],
      entry_point: list(container['entryPoint']) as string[],
      command: list(container['command']) as string[],
      health_check: {
        command: list(health['command']) as string[],
        interval_seconds: health['interval'] as number,
        timeout_seconds: health['timeout'] as number,
        retries: health['retries'] as number,
        start_period_seconds: health['startPeriod'] as number,
      },
      log_group: text(log['awslogs-group']),
      log_mode: text(log['mode']),
      environment: Object.fromEntries(environment) as Record<string, string | null>,
      secrets: (list(container['secrets']) as Row[]).map(({ name, valueFrom }) => ({
        setting: text(name),
        secret: secretName(text(valueFrom)),
        version_stage: null,
      })),
      cpu_architecture: text((definition['runtimePlatform'] as Row | undefined)?.['cpuArchitecture']),
      task_role: text(definition['taskRoleArn']).split('/').at(-1) ?? '',
      execution_role: text(definition['executionRoleArn']).split('/').at(-1) ?? '',
      open_files: files?.['softLimit'] as number,
    },
  };
}

/** F and G: images and secrets. */
export async function readRegistryAndSecrets(aws: Aws, declared: Declared): Promise<Live> {
  const { repository } = declared.registry;
  const found = first(await aws.call('ecr', 'describe_repositories', { repositoryNames: [repository] }), 'repositories');
  const policy = await aws.call('ecr', 'get_lifecycle_policy', { repositoryName: repository });
  const { rules } = JSON.parse(text(policy['lifecyclePolicyText'])) as { rules: { selection: { tagStatus: string; countNumber: number } }[] };
  const names = [];
  for (const name of declared.secrets.names) {
    names.push(text((await aws.call('secretsmanager', 'describe_secret', { SecretId: name }))['Name']));
  }
  const [only, ...others] = rules;
  return {
    registry: {
      repository: text(found['repositoryName']),
      tag_mutability: text(found['imageTagMutability']),
      scan_on_push: (found['imageScanningConfiguration'] as Row | undefined)?.['scanOnPush'] as boolean,
      untagged_expiry_days: only?.selection.tagStatus === 'untagged' && others.length === 0 ? only.selection.countNumber : -1,
    },
    secrets: { names },
  };
}

/** H: the load balancer. */
export async function readLoadBalancer(aws: Aws, declared: Declared, outputs: Outputs): Promise<Live> {
  const arn = outputs['load_balancer_arn'];
  const balancer = first(await aws.call('elbv2', 'describe_load_balancers', { Names: [declared.load_balancer.name] }), 'LoadBalancers');
  const attributes = pairs(await aws.call('elbv2', 'describe_load_balancer_attributes', { LoadBalancerArn: arn }));
  return {
    load_balancer: {
      name: text(balancer['LoadBalancerName']),
      scheme: text(balancer['Scheme']),
      availability_zones: (list(balancer['AvailabilityZones']) as Row[]).map(({ ZoneName }) => text(ZoneName)),
      idle_timeout_seconds: Number(attributes['idle_timeout.timeout_seconds']),
      client_keep_alive_seconds: Number(attributes['client_keep_alive.seconds']),
      http2: attributes['routing.http2.enabled'] === 'true',
      drop_invalid_header_fields: attributes['routing.http.drop_invalid_header_fields.enabled'] === 'true',
      desync_mitigation_mode: text(attributes['routing.http.desync_mitigation_mode']),
      deletion_protection: attributes['deletion_protection.enabled'] === 'true',
      access_logs: attributes['access_logs.s3.enabled'] === 'true',
    },
  };
}

/** I: listeners, rules, certificate. */
export async function readListener(aws: Aws, outputs: Outputs): Promise<Live> {
  const all = rows(await aws.call('elbv2', 'describe_listeners', { LoadBalancerArn: outputs['load_balancer_arn'] }), 'Listeners');
  const https = all.find(({ Protocol }) => Protocol === 'HTTPS') ?? {};
  const http = all.find(({ Protocol }) => Protocol === 'HTTP') ?? {};
  const action = (listener: Row) => (list(listener['DefaultActions'])[0] ?? {}) as Row;
  const rules = rows(await aws.call('elbv2', 'describe_rules', { ListenerArn: https['ListenerArn'] }), 'Rules');
  const rule = rules.find(({ Priority }) => Priority !== 'default') ?? {};
  const certificate = (list(https['Certificates'])[0] ?? {}) as Row;
  if (certificate['CertificateArn'] !== outputs['certificate_arn']) throw new Error('the listener has another certificate');
  const described = await aws.call('acm', 'describe_certificate', { CertificateArn: outputs['certificate_arn'] });
  return {
    listener: {
      https_port: https['Port'] as number,
      ssl_policy: text(https['SslPolicy']),
      certificate_host: text((described['Certificate'] as Row)['DomainName']),
      http_port: http['Port'] as number,
      redirect_status: text((action(http)['RedirectConfig'] as Row | undefined)?.['StatusCode']),
      default_status: text((action(https)['FixedResponseConfig'] as Row | undefined)?.['StatusCode']),
      rule_priority: Number(rule['Priority']),
      rule_hosts: hosts(rule),
    },
  };
}

function hosts(rule: Row): string[] {
  const condition = (list(rule['Conditions']) as Row[]).find(({ Field }) => Field === 'host-header') ?? {};
  const config = condition['HostHeaderConfig'] as Row | undefined;
  return (config ? list(config['Values']) : list(condition['Values'])) as string[];
}

/** J: the target group. */
export async function readTargetGroup(aws: Aws, outputs: Outputs): Promise<Live> {
  const arn = outputs['target_group_arn'];
  const group = first(await aws.call('elbv2', 'describe_target_groups', { TargetGroupArns: [arn] }), 'TargetGroups');
  const attributes = pairs(await aws.call('elbv2', 'describe_target_group_attributes', { TargetGroupArn: arn }));
  return {
    target_group: {
      target_type: text(group['TargetType']),
      protocol: text(group['Protocol']),
      protocol_version: text(group['ProtocolVersion']),
      port: group['Port'] as number,
      health_path: text(group['HealthCheckPath']),
      health_interval_seconds: group['HealthCheckIntervalSeconds'] as number,
      health_timeout_seconds: group['HealthCheckTimeoutSeconds'] as number,
      healthy_threshold: group['HealthyThresholdCount'] as number,
      unhealthy_threshold: group['UnhealthyThresholdCount'] as number,
      health_matcher: text((group['Matcher'] as Row | undefined)?.['HttpCode']),
      stickiness: attributes['stickiness.enabled'] === 'true',
      stickiness_type: text(attributes['stickiness.type']),
      stickiness_seconds: Number(attributes['stickiness.lb_cookie.duration_seconds']),
      deregistration_delay_seconds: Number(attributes['deregistration_delay.timeout_seconds']),
      slow_start_seconds: Number(attributes['slow_start.duration_seconds'] ?? 0),
      algorithm: text(attributes['load_balancing.algorithm.type']),
    },
  };
}
