// Fills in `declared.json` from the configuration and from the same constants that the constructs use.

import type { Config } from '../config/schema.ts';
import { alarmNames, CERTIFICATE_DAYS } from './construct/alarms.ts';
import { deploymentAlarmNames } from './construct/deployment-alarms.ts';
import { HEALTH_PATH, TLS_POLICY } from './construct/load-balancer.ts';
import { PING_MINUTES } from './construct/ping.ts';
import { QUERIES } from './construct/queries.ts';
import { UNTAGGED_DAYS } from './construct/repository.ts';
import { CONNECTIONS_PER_STREAM } from './construct/scaling.ts';
import { BREAKER_THRESHOLD } from './construct/service.ts';
import { SCHEMA } from './construct/table.ts';
import { OPEN_FILES, PROCESS, USER } from './construct/task-definition.ts';
import { DECLARED_VERSION, type Declared } from './declared.ts';
import { plainSettings, secretSettings } from './environment-variables.ts';
import { effectiveSeconds, gatewayReference, type GatewayReference } from './gateway-reference.ts';
import { ladder } from './ladder.ts';
import { names, PORTS, type Names } from './names.ts';

/** Stands for a value that only the account knows. */
const UNKNOWN = '\u0000';

/** Everything that is declared about an environment. */
export function declare(
  config: Config,
  account: string | undefined,
  reference: GatewayReference = gatewayReference(),
): Declared {
  const known = names(config.environment);
  return {
    version: DECLARED_VERSION,
    environment: config.environment,
    account: { id: account ?? null, region: config.region, stacks: stacks(config, known) },
    service: service(config, known),
    tasks: {
      availability_zones: config.network.zones,
      distinct_zones_min: Math.min(config.scaling.minTasks, config.network.zones.length),
    },
    task_definition: taskDefinition(config, known),
    registry: {
      repository: known.repository,
      image: config.emulated ? `${config.emulated.registry}/${known.repository}` : known.repository,
      tag_mutability: 'IMMUTABLE',
      scan_on_push: true,
      untagged_expiry_days: UNTAGGED_DAYS,
    },
    secrets: {
      names: [known.secrets.google, known.secrets.session],
      key_alias: known.keyAlias,
      deploy_role: config.github ? known.roles.deploy : null,
    },
    load_balancer: loadBalancer(config, known),
    listener: listener(config),
    target_group: targetGroup(config),
    network: {
      ingress_cidrs: config.network.ingressCidrs,
      ingress_ports: [443, 80],
      task_port: PORTS.http,
      peer_port: PORTS.peer,
      egress_ports: config.network.egressPorts,
    },
    scaling: {
      min_tasks: config.scaling.minTasks,
      max_tasks: config.scaling.maxTasks,
      cpu_percent: config.scaling.cpuPercent,
      connections_per_task: config.scaling.streamsPerTask * CONNECTIONS_PER_STREAM,
      scale_in_cooldown_seconds: config.scaling.scaleInCooldownSeconds,
      scale_out_cooldown_seconds: config.scaling.scaleOutCooldownSeconds,
    },
    signals: {
      alarms: alarmNames(known),
      log_retention_days: config.retention.logDays,
      queries: QUERIES.map((query) => `${known.prefix}/${query.name}`),
      dashboard: known.dashboard,
      ping: known.ping,
      ping_minutes: PING_MINUTES,
    },
    data: data(config, known),
    live: live(config, reference),
    timeouts: ladder(config, reference),
    parameters: { prefix: known.parameters.prefix, image_digest: known.parameters.imageDigest },
    outputs: outputs(config, known),
  };
}

function stacks(config: Config, known: Names): Declared['account']['stacks'] {
  const kinds = ['registry', 'data', 'service', 'observability', ...(config.github ? (['pipeline'] as const) : [])] as const;
  return kinds.map((kind) => ({ kind, name: known.stacks[kind], termination_protection: config.protection.deletion }));
}

function service(config: Config, known: Names): Declared['service'] {
  const { vpc } = config.network;
  const isPublic = vpc.kind === 'new-public' || (vpc.kind === 'existing' && vpc.assignPublicIp);
  return {
    cluster: known.cluster,
    name: known.service,
    launch_type: 'FARGATE',
    platform_version: 'LATEST',
    min_tasks: config.scaling.minTasks,
    minimum_healthy_percent: 100,
    maximum_percent: 200,
    circuit_breaker: {
      enable: true,
      rollback: true,
      threshold_type: 'COUNT',
      threshold_value: BREAKER_THRESHOLD,
      reset_on_healthy_task: false,
    },
    deployment_alarms: deploymentAlarmNames(known),
    strategy: 'ROLLING',
    health_check_grace_period_seconds: config.health.graceSeconds,
    availability_zone_rebalancing: config.scaling.zoneRebalancing,
    enable_execute_command: false,
    assign_public_ip: isPublic ? 'ENABLED' : 'DISABLED',
    container_name: known.container,
    container_port: PORTS.http,
    deployment_controller: 'ECS',
  };
}

function taskDefinition(config: Config, known: Names): Declared['task_definition'] {
  const { health } = config;
  const environment = Object.entries(plainSettings(config, known, UNKNOWN));
  return {
    family: known.family,
    cpu: String(config.task.cpuUnits),
    memory: String(config.task.memoryMiB),
    network_mode: 'awsvpc',
    stop_timeout_seconds: config.timeouts.stopTimeoutSeconds,
    readonly_root_filesystem: true,
    user: USER,
    privileged: false,
    dropped_capabilities: ['ALL'],
    entry_point: [...PROCESS.entryPoint],
    command: [...PROCESS.command],
    health_check: {
      command: [...PROCESS.health],
      interval_seconds: health.intervalSeconds,
      timeout_seconds: health.timeoutSeconds,
      retries: health.unhealthyThreshold,
      start_period_seconds: health.graceSeconds,
    },
    log_group: known.logGroup,
    log_mode: 'non-blocking',
    environment: Object.fromEntries(environment.map(([name, value]) => [name, value === UNKNOWN ? null : value])),
    secrets: secretSettings(config, known).map(({ setting, secret, stage }) => ({
      setting,
      secret,
      version_stage: stage ?? null,
    })),
    cpu_architecture: config.task.architecture,
    task_role: known.roles.task,
    execution_role: known.roles.execution,
    open_files: OPEN_FILES,
    revisions_retained: true,
  };
}

function loadBalancer(config: Config, known: Names): Declared['load_balancer'] {
  return {
    name: known.loadBalancer,
    scheme: config.network.scheme,
    availability_zones: config.network.zones,
    idle_timeout_seconds: config.timeouts.idleTimeoutSeconds,
    client_keep_alive_seconds: config.timeouts.clientKeepAliveSeconds,
    http2: true,
    drop_invalid_header_fields: true,
    desync_mitigation_mode: 'strictest',
    deletion_protection: config.protection.deletion,
    access_logs: config.retention.accessLogs,
    firewall: config.protection.waf ? known.firewall : null,
  };
}

function listener(config: Config): Declared['listener'] {
  return {
    https_port: 443,
    ssl_policy: TLS_POLICY,
    certificate_host: config.domain.host,
    certificate_min_days: CERTIFICATE_DAYS,
    http_port: 80,
    redirect_status: 'HTTP_301',
    default_status: '503',
    rule_priority: 10,
    rule_hosts: [config.domain.host],
  };
}

function targetGroup({ health, timeouts }: Config): Declared['target_group'] {
  return {
    target_type: 'ip',
    protocol: 'HTTP',
    protocol_version: 'HTTP1',
    port: PORTS.http,
    health_path: HEALTH_PATH,
    health_interval_seconds: health.intervalSeconds,
    health_timeout_seconds: health.timeoutSeconds,
    healthy_threshold: health.healthyThreshold,
    unhealthy_threshold: health.unhealthyThreshold,
    health_matcher: '200',
    stickiness: true,
    stickiness_type: 'lb_cookie',
    stickiness_seconds: timeouts.stickinessSeconds,
    deregistration_delay_seconds: timeouts.deregistrationDelaySeconds,
    slow_start_seconds: 0,
    algorithm: 'round_robin',
  };
}

function data(config: Config, known: Names): Declared['data'] {
  return {
    tables: [known.tables.sessions, known.tables.tokens],
    partition_key: SCHEMA.partitionKey,
    billing_mode: 'PAY_PER_REQUEST',
    time_to_live_attribute: SCHEMA.timeToLive,
    point_in_time_recovery: true,
    point_in_time_recovery_days: config.protection.pointInTimeRecoveryDays,
    deletion_protection: config.protection.deletion,
    encryption: 'KMS',
    key_alias: known.keyAlias,
    key_rotation: true,
  };
}

function live(config: Config, reference: GatewayReference): Declared['live'] {
  const own = (name: string) => effectiveSeconds(reference, config.gateway.settings, name);
  const idle = config.timeouts.idleTimeoutSeconds;
  return {
    url: `https://${config.domain.host}`,
    host: config.domain.host,
    mcp_paths: ['/mcp', '/mcp/sse'],
    health_path: HEALTH_PATH,
    stream_comment_seconds: own('SSE_KEEPALIVE_INTERVAL'),
    stream_open_seconds_min: idle + 30,
    connection_idle_seconds: [31, 61, idle - 5].filter((seconds) => seconds > 0 && seconds < idle),
    call_seconds_max: own('REQUEST_TIMEOUT'),
  };
}

function outputs(config: Config, known: Names): Declared['outputs'] {
  const { registry, data: state, service: serving, pipeline } = known.stacks;
  return {
    repository_uri: { stack: registry, key: 'RepositoryUri' },
    key_arn: { stack: state, key: 'KeyArn' },
    google_secret_arn: { stack: state, key: 'GoogleSecretArn' },
    session_secret_arn: { stack: state, key: 'SessionSecretArn' },
    load_balancer_dns_name: { stack: serving, key: 'LoadBalancerDnsName' },
    load_balancer_arn: { stack: serving, key: 'LoadBalancerArn' },
    target_group_arn: { stack: serving, key: 'TargetGroupArn' },
    certificate_arn: { stack: serving, key: 'CertificateArn' },
    load_balancer_security_group_id: { stack: serving, key: 'LoadBalancerSecurityGroupId' },
    task_security_group_id: { stack: serving, key: 'TaskSecurityGroupId' },
    task_subnet_ids: { stack: serving, key: 'TaskSubnetIds' },
    task_definition_arn: { stack: serving, key: 'TaskDefinitionArn' },
    task_definition_shape: { stack: serving, key: 'TaskDefinitionShape' },
    ...(config.github
      ? {
          plan_role_arn: { stack: pipeline, key: 'PlanRoleArn' },
          push_role_arn: { stack: pipeline, key: 'PushRoleArn' },
          deploy_role_arn: { stack: pipeline, key: 'DeployRoleArn' },
        }
      : {}),
  };
}
