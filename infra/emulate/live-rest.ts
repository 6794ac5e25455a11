// The rest of what is read of a live account: network, scaling, signals and data.

import type { Declared } from '../lib/declared.ts';
import type { Answer, Aws } from './aws.ts';
import type { Live, Outputs } from './live.ts';

type Row = Record<string, unknown>;

const rows = (answer: Answer | Row, list: string): Row[] => (answer[list] as Row[] | undefined) ?? [];
const text = (value: unknown): string => (value === undefined || value === null ? '' : String(value));

/** K: who is let in and out. Rules between groups are read as the port that the other group reaches. */
export async function readNetwork(aws: Aws, balancer: string, task: string): Promise<Live> {
  const found = rows(await aws.call('ec2', 'describe_security_groups', { GroupIds: [balancer, task] }), 'SecurityGroups');
  const group = (id: string) => found.find(({ GroupId }) => GroupId === id) ?? {};
  const ingress = rows(group(balancer), 'IpPermissions');
  const taskIngress = rows(group(task), 'IpPermissions');
  const egress = rows(group(task), 'IpPermissionsEgress');
  const from = (id: string) => taskIngress.find((rule) => rows(rule, 'UserIdGroupPairs').some(({ GroupId }) => GroupId === id))?.['FromPort'];
  if (taskIngress.some((rule) => rows(rule, 'IpRanges').length > 0)) throw new Error('tasks are reached past the load balancer');
  return {
    network: {
      ingress_cidrs: [...new Set(ingress.flatMap((rule) => rows(rule, 'IpRanges').map(({ CidrIp }) => text(CidrIp))))],
      ingress_ports: ingress.map(({ FromPort }) => FromPort as number),
      task_port: from(balancer) as number,
      peer_port: from(task) as number,
      egress_ports: egress.filter((rule) => rows(rule, 'IpRanges').length > 0).map(({ FromPort }) => FromPort as number),
    },
  };
}

/** K: scaling. */
export async function readScaling(aws: Aws, declared: Declared): Promise<Live> {
  const ResourceIds = [`service/${declared.service.cluster}/${declared.service.name}`];
  const [target] = rows(await aws.call('application-autoscaling', 'describe_scalable_targets', { ServiceNamespace: 'ecs', ResourceIds }), 'ScalableTargets');
  const policies = rows(await aws.call('application-autoscaling', 'describe_scaling_policies', { ServiceNamespace: 'ecs', ResourceId: ResourceIds[0] }), 'ScalingPolicies');
  const tracking = (end: string) =>
    (policies.find(({ PolicyName }) => text(PolicyName).endsWith(end))?.['TargetTrackingScalingPolicyConfiguration'] ?? {}) as Row;
  const streams = tracking('-streams');
  return {
    scaling: {
      min_tasks: target?.['MinCapacity'] as number,
      max_tasks: target?.['MaxCapacity'] as number,
      cpu_percent: tracking('-cpu')['TargetValue'] as number,
      connections_per_task: streams['TargetValue'] as number,
      scale_in_cooldown_seconds: streams['ScaleInCooldown'] as number,
      scale_out_cooldown_seconds: streams['ScaleOutCooldown'] as number,
    },
  };
}

/** K: alarms and logs. */
export async function readSignals(aws: Aws, declared: Declared): Promise<Live> {
  const prefix = declared.service.name;
  const alarms = rows(await aws.call('cloudwatch', 'describe_alarms', { AlarmNamePrefix: `${prefix}-` }), 'MetricAlarms').map(({ AlarmName }) => text(AlarmName));
  const groups = rows(await aws.call('logs', 'describe_log_groups', { logGroupNamePrefix: declared.task_definition.log_group }), 'logGroups');
  const dashboard = await aws.call('cloudwatch', 'get_dashboard', { DashboardName: declared.signals.dashboard });
  const ping = await aws.call('lambda', 'get_function_configuration', { FunctionName: declared.signals.ping });
  const missing = declared.service.deployment_alarms.filter((name) => !alarms.includes(name));
  if (missing.length > 0) throw new Error(`a deployment is judged by alarms that do not exist: ${missing.join(', ')}`);
  return {
    signals: {
      alarms: alarms.filter((name) => !declared.service.deployment_alarms.includes(name)),
      log_retention_days: groups[0]?.['retentionInDays'] as number,
      dashboard: text(dashboard['DashboardName']),
      ping: text(ping['FunctionName']),
    },
  };
}

/** M: tables and key. */
export async function readData(aws: Aws, declared: Declared, outputs: Outputs): Promise<Live> {
  const described: { Table: Row; ttl: Row; recovery: Row }[] = [];
  for (const TableName of declared.data.tables) {
    const { Table } = (await aws.call('dynamodb', 'describe_table', { TableName })) as { Table: Row };
    const ttl = await aws.call('dynamodb', 'describe_time_to_live', { TableName });
    const backups = await aws.call('dynamodb', 'describe_continuous_backups', { TableName });
    described.push({ Table, ttl: ttl['TimeToLiveDescription'] as Row, recovery: recovery(backups) });
  }
  const all = <T>(of: (one: (typeof described)[number]) => T): T => {
    const values = described.map(of);
    if (new Set(values.map((value) => JSON.stringify(value))).size > 1) throw new Error('the tables differ');
    return values[0] as T;
  };
  const KeyId = outputs['key_arn'];
  const rotation = await aws.call('kms', 'get_key_rotation_status', { KeyId });
  const aliases = rows(await aws.call('kms', 'list_aliases', { KeyId }), 'Aliases').map(({ AliasName }) => text(AliasName));
  return {
    data: {
      tables: described.map(({ Table }) => text(Table['TableName'])),
      partition_key: all(({ Table }) => text(rows(Table, 'KeySchema')[0]?.['AttributeName'])),
      billing_mode: all(({ Table }) => text((Table['BillingModeSummary'] as Row | undefined)?.['BillingMode'])),
      time_to_live_attribute: all(({ ttl }) => (ttl['TimeToLiveStatus'] === 'ENABLED' ? text(ttl['AttributeName']) : '')),
      point_in_time_recovery: all(({ recovery }) => recovery['PointInTimeRecoveryStatus'] === 'ENABLED'),
      point_in_time_recovery_days: all(({ recovery }) => Number(recovery['RecoveryPeriodInDays'])),
      deletion_protection: all(({ Table }) => Table['DeletionProtectionEnabled'] === true),
      encryption: all(({ Table }) => text((Table['SSEDescription'] as Row | undefined)?.['SSEType'])),
      key_alias: aliases[0] ?? '',
      key_rotation: rotation['KeyRotationEnabled'] === true,
    },
  };
}

function recovery(backups: Answer): Row {
  const description = backups['ContinuousBackupsDescription'] as Row | undefined;
  return (description?.['PointInTimeRecoveryDescription'] ?? {}) as Row;
}
