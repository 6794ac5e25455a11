// What is asserted about the service stack of production.

import { attributes, type Attribute, type Row, type Step } from './attribute.ts';

const table = (type: string, rows: readonly Row[], where?: Attribute['where']) => attributes('service', type, rows, where);

const balancer = (key: string): Step[] => ['LoadBalancerAttributes', { Key: key }, 'Value'];
const group = (key: string): Step[] => ['TargetGroupAttributes', { Key: key }, 'Value'];
const port = (wanted: number): Attribute['where'] => (_, resource) => resource.Properties['Port'] === wanted;

const loadBalancer = table('AWS::ElasticLoadBalancingV2::LoadBalancer', [
  ['H1', 'clients outside of the VPN reach nothing', ['Scheme'], 'internet-facing', 'internal', (d) => d.load_balancer.scheme],
  ['H2', 'an idle stream is cut after a minute', balancer('idle_timeout.timeout_seconds'), '300', '60', (d) => String(d.load_balancer.idle_timeout_seconds)],
  ['H3', 'every stream is cut once an hour', balancer('client_keep_alive.seconds'), '604800', '3600', (d) => String(d.load_balancer.client_keep_alive_seconds)],
  ['H4', 'a browser has six connections and the seventh stream waits for ever', balancer('routing.http2.enabled'), 'true', 'false', (d) => String(d.load_balancer.http2)],
  ['H5', 'headers that no task understands alike are passed on', balancer('routing.http.drop_invalid_header_fields.enabled'), 'true', 'false', (d) => String(d.load_balancer.drop_invalid_header_fields)],
  ['H6', 'a request smuggled behind another reaches a task', balancer('routing.http.desync_mitigation_mode'), 'strictest', 'monitor', (d) => d.load_balancer.desync_mitigation_mode],
  ['H7', 'one wrong command takes the service off the air', balancer('deletion_protection.enabled'), 'true', 'false', (d) => String(d.load_balancer.deletion_protection)],
  ['H8', 'nobody knows which requests ended in a 502', balancer('access_logs.s3.enabled'), 'true', 'false', (d) => String(d.load_balancer.access_logs)],
]);

const https = table('AWS::ElasticLoadBalancingV2::Listener', [
  ['I1a', 'logins and tokens travel in plain text', ['Protocol'], 'HTTPS', 'HTTP', undefined],
  ['I1b', 'clients with TLS 1.0 are served', ['SslPolicy'], 'ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09', 'ELBSecurityPolicy-2016-08', (d) => d.listener.ssl_policy],
  ['I2', 'clients are shown the certificate of another host', ['Certificates', 0, 'CertificateArn', 'Ref'], 'HostCertificate00CE6C20', 'Another', undefined],
  ['I6a', 'a stranger to the host is forwarded to a task', ['DefaultActions', 0, 'Type'], 'fixed-response', 'forward', undefined],
  ['I6b', 'an MCP client takes a 404 for the end of its session', ['DefaultActions', 0, 'FixedResponseConfig', 'StatusCode'], '503', '404', (d) => d.listener.default_status],
], port(443));

const http = table('AWS::ElasticLoadBalancingV2::Listener', [
  ['I4a', 'who types the host without https gets an answer in plain text', ['DefaultActions', 0, 'Type'], 'redirect', 'forward', undefined],
  ['I4b', 'the redirect is asked for again at every visit', ['DefaultActions', 0, 'RedirectConfig', 'StatusCode'], 'HTTP_301', 'HTTP_302', (d) => d.listener.redirect_status],
  ['I4c', 'the redirect leads to a port where nobody listens', ['DefaultActions', 0, 'RedirectConfig', 'Port'], '443', '8443', (d) => String(d.listener.https_port)],
], port(80));

const rule = table('AWS::ElasticLoadBalancingV2::ListenerRule', [
  ['I5a', 'nothing is forwarded to tasks', ['Actions', 0, 'Type'], 'forward', 'fixed-response', undefined],
  ['I5b', 'another name of the load balancer is served', ['Conditions', 0, 'HostHeaderConfig', 'Values'], ['mcp.example.com'], ['*'], (d) => d.listener.rule_hosts],
  ['I5c', 'a rule from somewhere else goes first', ['Priority'], 10, 5000, (d) => d.listener.rule_priority],
]);

const certificate = table('AWS::CertificateManager::Certificate', [
  ['I3a', 'the certificate does not cover the host', ['DomainName'], 'mcp.example.com', 'www.example.com', (d) => d.listener.certificate_host],
  ['I3b', 'the certificate waits for a mail that nobody reads', ['ValidationMethod'], 'DNS', 'EMAIL', undefined],
]);

const address = table('AWS::Route53::RecordSet', [
  ['L1', 'the host leads to another load balancer', ['Name'], 'mcp.example.com.', 'mcp2.example.com.', (d) => `${d.live.host}.`],
]);

const targetGroup = table('AWS::ElasticLoadBalancingV2::TargetGroup', [
  ['J1a', 'Fargate tasks cannot be registered', ['TargetType'], 'ip', 'instance', (d) => d.target_group.target_type],
  ['J1b', 'requests go to a port where no task listens', ['Port'], 3000, 80, (d) => d.target_group.port],
  ['J1c', 'events wait in the load balancer until a stream ends', ['ProtocolVersion'], 'HTTP1', 'GRPC', (d) => d.target_group.protocol_version],
  ['J2a', 'Google being away takes all tasks out of rotation', ['HealthCheckPath'], '/health', '/ready', (d) => d.target_group.health_path],
  ['J2b', 'a dead task serves for minutes', ['HealthCheckIntervalSeconds'], 15, 60, (d) => d.target_group.health_interval_seconds],
  ['J2c', 'a busy task is taken for a dead one', ['HealthCheckTimeoutSeconds'], 10, 2, (d) => d.target_group.health_timeout_seconds],
  ['J2d', 'a new task waits for minutes until it serves', ['HealthyThresholdCount'], 2, 10, (d) => d.target_group.healthy_threshold],
  ['J2e', 'one lost check takes a task out', ['UnhealthyThresholdCount'], 3, 2, (d) => d.target_group.unhealthy_threshold],
  ['J2f', 'an error page counts as health', ['Matcher', 'HttpCode'], '200', '200-499', (d) => d.target_group.health_matcher],
  ['J3a', 'every call of a client reads its session from the table', group('stickiness.enabled'), 'true', 'false', (d) => String(d.target_group.stickiness)],
  ['J3b', 'the cookie is one that only the gateway could set', group('stickiness.type'), 'lb_cookie', 'app_cookie', (d) => d.target_group.stickiness_type],
  ['J3c', 'clients move to another task in the middle of their work', group('stickiness.lb_cookie.duration_seconds'), '3600', '1', (d) => String(d.target_group.stickiness_seconds)],
  ['J4', 'a deploy cuts calls that were still running', group('deregistration_delay.timeout_seconds'), '300', '5', (d) => String(d.target_group.deregistration_delay_seconds)],
  ['J5', 'a fresh task gets every new call, because open streams count', group('load_balancing.algorithm.type'), 'round_robin', 'least_outstanding_requests', (d) => d.target_group.algorithm],
]);

const breaker: Step[] = ['DeploymentConfiguration', 'DeploymentCircuitBreaker'];
const vpc: Step[] = ['NetworkConfiguration', 'AwsvpcConfiguration'];
const service = table('AWS::ECS::Service', [
  ['B3', 'a deploy of the shape moves the service to another image', ['TaskDefinition'], 'mcp-gateway-production', { Ref: 'TaskDefinition21A4D618' }, (d) => d.task_definition.family],
  ['B4', 'a deploy undoes what scaling did', ['DesiredCount'], undefined, 1, undefined],
  ['B5a', 'a deploy stops tasks before their successors serve', ['DeploymentConfiguration', 'MinimumHealthyPercent'], 100, 50, (d) => d.service.minimum_healthy_percent],
  ['B5b', 'a deploy cannot start successors', ['DeploymentConfiguration', 'MaximumPercent'], 200, 100, (d) => d.service.maximum_percent],
  ['B6a', 'a broken image is started again and again', [...breaker, 'Enable'], true, false, (d) => d.service.circuit_breaker.enable],
  ['B6b', 'a broken image stays until somebody wakes up', [...breaker, 'Rollback'], true, false, (d) => d.service.circuit_breaker.rollback],
  ['B6c', 'with many tasks a broken image is tried for an hour', [...breaker, 'ThresholdConfiguration'], { Type: 'COUNT', Value: 3 }, { Type: 'COUNT', Value: 200 }, (d) => ({ Type: d.service.circuit_breaker.threshold_type, Value: d.service.circuit_breaker.threshold_value })],
  ['B6d', 'an image that works every other time is never given up', [...breaker, 'ResetOnHealthyTask'], false, true, (d) => d.service.circuit_breaker.reset_on_healthy_task],
  ['B7a', 'a release that answers with errors stays', ['DeploymentConfiguration', 'Alarms', 'Rollback'], true, false, undefined],
  ['B7b', 'a release is judged by alarms that do not exist', ['DeploymentConfiguration', 'Alarms', 'AlarmNames'],
    ['mcp-gateway-production-bad-gateway', 'mcp-gateway-production-server-errors', 'mcp-gateway-production-unhealthy-targets'], [], (d) => d.service.deployment_alarms],
  ['B9', 'a starting task is killed before its first health check', ['HealthCheckGracePeriodSeconds'], 60, 0, (d) => d.service.health_check_grace_period_seconds],
  ['B10', 'tasks move between zones outside of deploys and cut their streams', ['AvailabilityZoneRebalancing'], 'DISABLED', 'ENABLED', (d) => d.service.availability_zone_rebalancing],
  ['B11', 'who may call an API gets a shell beside the secrets', ['EnableExecuteCommand'], false, true, (d) => d.service.enable_execute_command],
  ['B12a', 'private tasks have public addresses', [...vpc, 'AssignPublicIp'], 'DISABLED', 'ENABLED', (d) => d.service.assign_public_ip],
  ['B12b', 'all tasks are in one zone, and it fails', [...vpc, 'Subnets'],
    [{ Ref: 'NetworkVpctaskSubnet1Subnet4923F5E9' }, { Ref: 'NetworkVpctaskSubnet2Subnet2B8E2945' }], [{ Ref: 'NetworkVpctaskSubnet1Subnet4923F5E9' }], undefined],
  ['B12c', 'tasks are in the group that everybody reaches', [...vpc, 'SecurityGroups'],
    [{ 'Fn::GetAtt': ['NetworkTaskGroup9D65069C', 'GroupId'] }], [{ 'Fn::GetAtt': ['NetworkLoadBalancerGroupA05A4557', 'GroupId'] }], undefined],
  ['B13', 'the load balancer sends requests to the peer port', ['LoadBalancers', 0, 'ContainerPort'], 3000, 3001, (d) => d.service.container_port],
  ['B15', 'the service needs machines that nobody has', ['LaunchType'], 'FARGATE', 'EC2', (d) => d.service.launch_type],
  ['B16', 'tasks run on a platform without its fixes', ['PlatformVersion'], 'LATEST', '1.3.0', (d) => d.service.platform_version],
]);

const container: Step[] = ['ContainerDefinitions', 0];
const definition = table('AWS::ECS::TaskDefinition', [
  ['E1', 'revisions are counted in another family', ['Family'], 'mcp-gateway-production', 'other', (d) => d.task_definition.family],
  ['E2a', 'a task runs another image than the released one', [...container, 'Image', 'Fn::Join', 1, 8], { Ref: 'ImageDigest' }, 'latest', undefined],
  ['E2b', 'an image is found by a tag that moves', [...container, 'Image', 'Fn::Join', 1, 7], '@', ':', undefined],
  ['E3', 'a task is killed while it still drains', [...container, 'StopTimeout'], 120, 30, (d) => d.task_definition.stop_timeout_seconds],
  ['E4a', 'who breaks in can leave files behind', [...container, 'ReadonlyRootFilesystem'], true, false, (d) => d.task_definition.readonly_root_filesystem],
  ['E4b', 'who breaks in is root', [...container, 'User'], '65532:65532', 'root', (d) => d.task_definition.user],
  ['E4c', 'who breaks in has the kernel', [...container, 'Privileged'], false, true, (d) => d.task_definition.privileged],
  ['E4d', 'the process may do what it never needs', [...container, 'LinuxParameters', 'Capabilities', 'Drop'], ['ALL'], [], (d) => d.task_definition.dropped_capabilities],
  ['E5a', 'log lines go to another group', [...container, 'LogConfiguration', 'Options', 'awslogs-group', 'Ref'], 'Logs6819BB44', 'Another', undefined],
  ['E5b', 'CloudWatch being slow stops every stream of a task', [...container, 'LogConfiguration', 'Options', 'mode'], 'non-blocking', 'blocking', (d) => d.task_definition.log_mode],
  ['E6a', 'a secret stands in plain text in the task definition', [...container, 'Secrets'],
    [{ Name: 'GOOGLE_CLIENT_SECRET', ValueFrom: { 'Fn::ImportValue': 'mcp-gateway-production-data:ExportsOutputFnGetAttSecretsGoogle0F8437FEId2E737CB1' } },
      { Name: 'SESSION_SECRET', ValueFrom: { 'Fn::ImportValue': 'mcp-gateway-production-data:ExportsOutputFnGetAttSecretsSession34EE1A69Id71C0DB65' } }], [], undefined],
  ['E7', 'the image does not start on this processor', ['RuntimePlatform', 'CpuArchitecture'], 'X86_64', 'ARM64', (d) => d.task_definition.cpu_architecture],
  ['E10a', 'the revision to roll back to is gone after an update', ['.', 'UpdateReplacePolicy'], 'Retain', 'Delete', undefined],
  ['E10b', 'the revision to roll back to is gone with the stack', ['.', 'DeletionPolicy'], 'Retain', 'Delete', undefined],
  ['E11', 'a task is too small for its streams (CPU)', ['Cpu'], '512', '256', (d) => d.task_definition.cpu],
  ['E12', 'a task is too small for its streams (memory)', ['Memory'], '1024', '512', (d) => d.task_definition.memory],
  ['E13', 'tasks have no address of their own', ['NetworkMode'], 'awsvpc', 'bridge', (d) => d.task_definition.network_mode],
  ['E14', 'ECS starts something that is not in the image', [...container, 'EntryPoint'], ['/gateway'], ['/bin/sh'], (d) => d.task_definition.entry_point],
  ['E15', 'the gateway prints its help and ends', [...container, 'Command'], ['serve'], [], (d) => d.task_definition.command],
  ['E16', 'the health check needs a shell that the image lacks', [...container, 'HealthCheck', 'Command'], ['CMD', '/gateway', 'health'], ['CMD-SHELL', 'curl -f localhost:3000/health'], (d) => d.task_definition.health_check.command],
  ['E17', 'the 1025th stream is refused', [...container, 'Ulimits'], [{ Name: 'nofile', SoftLimit: 65_535, HardLimit: 65_535 }], [{ Name: 'nofile', SoftLimit: 1024, HardLimit: 1024 }], undefined],
]);

const settings = (pairs: Record<string, string>): Attribute[] =>
  Object.entries(pairs).map(([name, value]) => ({
    id: `E6-${name}`,
    prevents: `the gateway starts with another ${name}`,
    stack: 'service',
    type: 'AWS::ECS::TaskDefinition',
    path: ['Properties', ...container, 'Environment', { Name: name }, 'Value'],
    expected: value,
    wrong: 'other',
    declared: (d) => d.task_definition.environment[name],
  }));

const environment = settings({
  PUBLIC_URL: 'https://mcp.example.com',
  HOST: '0.0.0.0',
  PORT: '3000',
  PEER_PORT: '3001',
  STORE: 'dynamodb',
  SESSIONS_TABLE: 'mcp-gateway-production-sessions',
  TOKENS_TABLE: 'mcp-gateway-production-tokens',
  ALLOWED_DOMAIN: 'example.com',
  GOOGLE_CLIENT_ID: '100000000000-production.apps.googleusercontent.com',
});

const scalable = table('AWS::ApplicationAutoScaling::ScalableTarget', [
  ['K2a', 'a single task is replaced with a gap', ['MinCapacity'], 2, 1, (d) => d.scaling.min_tasks],
  ['K2b', 'a flood costs without a limit', ['MaxCapacity'], 6, 600, (d) => d.scaling.max_tasks],
]);
const tracking: Step[] = ['TargetTrackingScalingPolicyConfiguration'];
const named = (name: string): Attribute['where'] => (id) => id.startsWith(`Scaling${name}`);
const cpu = table('AWS::ApplicationAutoScaling::ScalingPolicy', [
  ['K2c', 'busy tasks stay alone', [...tracking, 'TargetValue'], 60, 95, (d) => d.scaling.cpu_percent],
  ['K2d', 'tasks that nobody needs stay', [...tracking, 'DisableScaleIn'], false, true, undefined],
  ['K2g', 'the policy follows memory, which streams do not move', [...tracking, 'PredefinedMetricSpecification', 'PredefinedMetricType'], 'ECSServiceAverageCPUUtilization', 'ECSServiceAverageMemoryUtilization', undefined],
], named('Cpu'));
const streams = table('AWS::ApplicationAutoScaling::ScalingPolicy', [
  ['K2e', 'a task is full of streams before another one starts', [...tracking, 'TargetValue'], 10_000, 100_000, (d) => d.scaling.connections_per_task],
  ['K2f', 'tasks come and go with every stream', [...tracking, 'ScaleInCooldown'], 600, 0, (d) => d.scaling.scale_in_cooldown_seconds],
  ['K2h', 'a sum that no new task lowers adds tasks without end', [...tracking, 'CustomizedMetricSpecification', 'Metrics', { Id: 'each' }, 'Expression'], 'connections / tasks', 'connections', undefined],
  ['K2i', 'tasks that lost their streams stay', [...tracking, 'DisableScaleIn'], false, true, undefined],
], named('Streams'));

const logs = table('AWS::Logs::LogGroup', [
  ['K5a', 'logs that name people are kept for ever', ['RetentionInDays'], 30, undefined, (d) => d.signals.log_retention_days],
  ['K5b', 'tools look for the log group under another name', ['LogGroupName'], '/mcp-gateway/production', undefined, (d) => d.task_definition.log_group],
  ['K5c', 'what was logged goes with the stack', ['.', 'DeletionPolicy'], 'RetainExceptOnCreate', 'Delete', undefined],
  ['K5d', 'an update that replaces the log group loses what was logged', ['.', 'UpdateReplacePolicy'], 'Retain', 'Delete', undefined],
]);

const ingress = (port: number) => ({ CidrIp: '0.0.0.0/0', Description: port === 443 ? 'clients' : 'browsers, to be sent to 443', FromPort: port, IpProtocol: 'tcp', ToPort: port });
const balancerGroup = table('AWS::EC2::SecurityGroup', [
  ['K1a', 'nobody reaches 443', ['SecurityGroupIngress'], [ingress(443), ingress(80)], [ingress(80)], undefined],
], (id) => id.startsWith('NetworkLoadBalancerGroup'));
const taskGroup = table('AWS::EC2::SecurityGroup', [
  ['K1b', 'the internet reaches tasks past the load balancer', ['SecurityGroupIngress'], undefined, [ingress(3000)], undefined],
  ['K1c', 'who breaks in may call anywhere', ['SecurityGroupEgress'],
    [{ CidrIp: '0.0.0.0/0', Description: 'Google, AWS and upstreams', FromPort: 443, IpProtocol: 'tcp', ToPort: 443 }],
    [{ CidrIp: '0.0.0.0/0', Description: 'everything', IpProtocol: '-1' }], undefined],
], (id) => id.startsWith('NetworkTaskGroup'));
const reach = (id: string, prevents: string, port: number, from: string): Attribute[] =>
  table('AWS::EC2::SecurityGroupIngress', [
    [id, prevents, ['SourceSecurityGroupId'], { 'Fn::GetAtt': [from, 'GroupId'] }, undefined, undefined],
  ], (_, resource) => resource.Properties['FromPort'] === port && resource.Properties['ToPort'] === port);

const cluster = table('AWS::ECS::Cluster', [
  ['K7', 'a lost task leaves no trace in the metrics', ['ClusterSettings', { Name: 'containerInsights' }, 'Value'], 'enhanced', 'disabled', undefined],
]);

const firewall = table('AWS::WAFv2::WebACL', [
  ['H9', 'one address takes the service from everybody', ['Rules', { Name: 'rate' }, 'Statement', 'RateBasedStatement', 'Limit'], 20_000, 2_000_000, undefined],
]);

/** Everything about the service stack. */
export const SERVICE_ATTRIBUTES: readonly Attribute[] = [
  ...loadBalancer, ...https, ...http, ...rule, ...certificate, ...address, ...targetGroup,
  ...service, ...definition, ...environment, ...scalable, ...cpu, ...streams, ...logs,
  ...balancerGroup, ...taskGroup,
  ...reach('K1d', 'the load balancer does not reach tasks', 3000, 'NetworkLoadBalancerGroupA05A4557'),
  ...reach('K1e', 'anybody speaks to the private port of a task', 3001, 'NetworkTaskGroup9D65069C'),
  ...cluster, ...firewall,
];
