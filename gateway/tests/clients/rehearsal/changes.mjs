// Attributes of the deployed account, changed by hand one after the other: each is found by its id and nothing else, and
// what is printed repairs it. Not among them is what only a new revision or deployment can repair, and what this
// environment does not declare.

import { NAME, aws } from './stage.mjs';

export const balancer = async () => (await aws('elbv2', 'describe-load-balancers', '--names', NAME)).LoadBalancers[0];
export const targetGroup = async () =>
  (await aws('elbv2', 'describe-target-groups')).TargetGroups.find(({ HealthCheckPath }) => HealthCheckPath?.startsWith('/health')).TargetGroupArn;
export const listener = async (protocol) =>
  (await aws('elbv2', 'describe-listeners', '--load-balancer-arn', (await balancer()).LoadBalancerArn)).Listeners.find(({ Protocol }) => Protocol === protocol).ListenerArn;
export const ofBalancer = async (name, value) =>
  aws('elbv2', 'modify-load-balancer-attributes', '--load-balancer-arn', (await balancer()).LoadBalancerArn, '--attributes', `Key=${name},Value=${value}`);
export const ofGroup = async (name, value) =>
  aws('elbv2', 'modify-target-group-attributes', '--target-group-arn', await targetGroup(), '--attributes', `Key=${name},Value=${value}`);
const service = async (...args) => aws('ecs', 'update-service', '--cluster', NAME, '--service', NAME, ...args);
const key = async () => (await aws('dynamodb', 'describe-table', '--table-name', `${NAME}-tokens`)).Table.SSEDescription.KMSMasterKeyArn;

/** The id that finds it, and the change. */
export const CHANGES = [
  ['B11', () => service('--enable-execute-command')],
  ['F3', () => aws('ecr', 'put-image-tag-mutability', '--repository-name', NAME, '--image-tag-mutability', 'MUTABLE')],
  ['F4', () => aws('ecr', 'put-image-scanning-configuration', '--repository-name', NAME, '--image-scanning-configuration', 'scanOnPush=false')],
  ['H3', () => ofBalancer('client_keep_alive.seconds', '3600')],
  ['H4', () => ofBalancer('routing.http2.enabled', 'false')],
  ['H5', () => ofBalancer('routing.http.drop_invalid_header_fields.enabled', 'false')],
  ['H6', () => ofBalancer('routing.http.desync_mitigation_mode', 'monitor')],
  ['I1', async () => aws('elbv2', 'modify-listener', '--listener-arn', await listener('HTTPS'), '--ssl-policy', 'ELBSecurityPolicy-2016-08')],
  ['I4', async () => aws('elbv2', 'modify-listener', '--listener-arn', await listener('HTTP'), '--default-actions', JSON.stringify([{ Type: 'redirect', RedirectConfig: { Protocol: 'HTTPS', Port: '443', StatusCode: 'HTTP_302' } }]))],
  ['I5', async () => {
    const { Rules } = await aws('elbv2', 'describe-rules', '--listener-arn', await listener('HTTPS'));
    const { RuleArn } = Rules.find(({ Conditions }) => Conditions[0]?.Field === 'host-header');
    await aws('elbv2', 'modify-rule', '--rule-arn', RuleArn, '--conditions', JSON.stringify([{ Field: 'host-header', HostHeaderConfig: { Values: ['*.example.com'] } }]));
  }],
  ['I6', async () => aws('elbv2', 'modify-listener', '--listener-arn', await listener('HTTPS'), '--default-actions', JSON.stringify([{ Type: 'fixed-response', FixedResponseConfig: { StatusCode: '404', ContentType: 'text/plain', MessageBody: '' } }]))],
  ['J5', () => ofGroup('load_balancing.algorithm.type', 'least_outstanding_requests')],
  ['K2', async () => {
    const { services: [{ networkConfiguration }] } = await aws('ecs', 'describe-services', '--cluster', NAME, '--services', NAME);
    const [group] = networkConfiguration.awsvpcConfiguration.securityGroups;
    await aws('ec2', 'authorize-security-group-ingress', '--group-id', group, '--protocol', 'tcp', '--port', '3000', '--cidr', '0.0.0.0/0');
  }],
  ['K4', () => aws('cloudwatch', 'disable-alarm-actions', '--alarm-names', `${NAME}-cpu`)],
  ['K6', async () => {
    const { logGroups: [{ logGroupName }] } = await aws('logs', 'describe-log-groups', '--log-group-name-prefix', '/mcp-gateway/local');
    return aws('logs', 'put-retention-policy', '--log-group-name', logGroupName, '--retention-in-days', '1');
  }],
  ['M1', () => aws('dynamodb', 'update-table', '--table-name', `${NAME}-sessions`, '--billing-mode', 'PROVISIONED', '--provisioned-throughput', 'ReadCapacityUnits=5,WriteCapacityUnits=5')],
  ['M2', () => aws('dynamodb', 'update-time-to-live', '--table-name', `${NAME}-sessions`, '--time-to-live-specification', 'Enabled=false,AttributeName=expires_at')],
  ['M6', async () => aws('kms', 'disable-key-rotation', '--key-id', await key())],
];
