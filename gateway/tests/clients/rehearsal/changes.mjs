// Attributes of the deployed account, changed by hand: each is found by its id and nothing else, and what is printed
// repairs it. Not among them is what ministack does not keep or this environment does not declare.

import { until } from '../support/processes.mjs';
import { NAME, aws } from './stage.mjs';

/** The parameter that has the digest of the released image. */
const RELEASED = '/mcp-gateway/local/image-digest';
const NO_IMAGE = `sha256:${'0'.repeat(64)}`;

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
const described = async () => (await aws('ecs', 'describe-services', '--cluster', NAME, '--services', NAME)).services[0];
const definition = async () => {
  const { taskDefinition, tags } = await aws('ecs', 'describe-task-definition', '--include', 'TAGS', '--task-definition', (await described()).taskDefinition);
  return { ...taskDefinition, tags };
};
const running = async () => (await definition()).containerDefinitions[0].image;
/** A role of the running revision. */
const role = async (name) => (await definition())[name].split('/').at(-1);

const policy = (Effect) => JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect, Action: '*', Resource: '*' }] });
const release = (digest) => aws('ssm', 'put-parameter', '--overwrite', '--type', 'String', '--name', RELEASED, '--value', digest);

/** The deployment configuration of the service, altered. ministack forgets what a command leaves out, as what is printed does. */
const deployment = (id, alter) => {
  let before;
  const configure = (configuration) => service('--deployment-configuration', JSON.stringify(configuration));
  return {
    id,
    change: async () => {
      before = (await described()).deploymentConfiguration;
      await configure(alter(before));
    },
    undo: () => configure(before),
  };
};

/** A resource that cannot be made: the bootstrap has a parameter of that name. */
const BROKEN = { Type: 'AWS::SSM::Parameter', Properties: { Name: '/cdk-bootstrap/hnb659fds/version', Type: 'String', Value: 'taken' } };

/** Updates the stack of the pipeline with other resources than it had at first, and waits for the end. */
let atFirst;
async function update(altered) {
  const stack = `${NAME}-pipeline`;
  atFirst ??= (await aws('cloudformation', 'get-template', '--stack-name', stack)).TemplateBody;
  const template = { ...atFirst, Description: String(Date.now()), Resources: altered(atFirst.Resources) };
  await aws('cloudformation', 'update-stack', '--stack-name', stack, '--capabilities', 'CAPABILITY_NAMED_IAM', '--template-body', JSON.stringify(template));
  await until('the stack', async () => !(await aws('cloudformation', 'describe-stacks', '--stack-name', stack)).Stacks[0].StackStatus.endsWith('IN_PROGRESS'));
}

/** The image that was removed from the registry. */
let removed;

/** Changes by the id that finds each. `undo`: what is printed only shows where to look. */
export const CHANGES = [
  { id: 'A3', change: () => aws('cloudformation', 'update-termination-protection', '--enable-termination-protection', '--stack-name', `${NAME}-pipeline`) },
  { id: 'A2', change: () => update((resources) => ({ ...resources, Broken: BROKEN })), undo: () => update((resources) => resources) },
  deployment('B5', (configuration) => ({ ...configuration, maximumPercent: 150 })),
  deployment('B7', (configuration) => ({ ...configuration, alarms: { ...configuration.alarms, enable: false } })),
  { id: 'B11', change: () => service('--enable-execute-command') },
  { id: 'B12', change: async () => {
    const { subnets, securityGroups, assignPublicIp } = (await described()).networkConfiguration.awsvpcConfiguration;
    await service('--network-configuration', JSON.stringify({ awsvpcConfiguration: { subnets: subnets.slice(1), securityGroups, assignPublicIp } }));
  } },
  { id: 'F1',
    change: async () => {
      const imageId = { imageDigest: (await running()).split('@')[1] };
      ({ images: [removed] } = await aws('ecr', 'batch-get-image', '--repository-name', NAME, '--image-ids', JSON.stringify(imageId)));
      await aws('ecr', 'batch-delete-image', '--repository-name', NAME, '--image-ids', JSON.stringify(imageId));
    },
    undo: () => aws('ecr', 'put-image', '--repository-name', NAME, '--image-manifest', removed.imageManifest, '--image-digest', removed.imageId.imageDigest) },
  { id: 'F3', change: () => aws('ecr', 'put-image-tag-mutability', '--repository-name', NAME, '--image-tag-mutability', 'MUTABLE') },
  { id: 'F4', change: () => aws('ecr', 'put-image-scanning-configuration', '--repository-name', NAME, '--image-scanning-configuration', 'scanOnPush=false') },
  { id: 'F6', change: () => {
    const rule = { rulePriority: 1, selection: { tagStatus: 'any', countType: 'imageCountMoreThan', countNumber: 5 }, action: { type: 'expire' } };
    return aws('ecr', 'put-lifecycle-policy', '--repository-name', NAME, '--lifecycle-policy-text', JSON.stringify({ rules: [rule] }));
  } },
  { id: 'G1', change: () => aws('secretsmanager', 'delete-secret', '--secret-id', `${NAME}/session-secret`, '--recovery-window-in-days', '7') },
  { id: 'G2',
    change: async () => aws('iam', 'put-role-policy', '--role-name', await role('executionRoleArn'), '--policy-name', 'rehearsal', '--policy-document', policy('Deny')),
    undo: async () => aws('iam', 'delete-role-policy', '--role-name', await role('executionRoleArn'), '--policy-name', 'rehearsal') },
  { id: 'G5',
    change: async () => aws('iam', 'put-role-policy', '--role-name', await role('taskRoleArn'), '--policy-name', 'rehearsal', '--policy-document', policy('Allow')),
    undo: async () => aws('iam', 'delete-role-policy', '--role-name', await role('taskRoleArn'), '--policy-name', 'rehearsal') },
  { id: 'H3', change: () => ofBalancer('client_keep_alive.seconds', '3600') },
  { id: 'H4', change: () => ofBalancer('routing.http2.enabled', 'false') },
  { id: 'H5', change: () => ofBalancer('routing.http.drop_invalid_header_fields.enabled', 'false') },
  { id: 'H6', change: () => ofBalancer('routing.http.desync_mitigation_mode', 'monitor') },
  { id: 'H7', change: () => ofBalancer('deletion_protection.enabled', 'true') },
  { id: 'H8', change: () => ofBalancer('access_logs.s3.enabled', 'false') },
  { id: 'I1', change: async () => aws('elbv2', 'modify-listener', '--listener-arn', await listener('HTTPS'), '--ssl-policy', 'ELBSecurityPolicy-2016-08') },
  { id: 'I4', change: async () => aws('elbv2', 'modify-listener', '--listener-arn', await listener('HTTP'), '--default-actions', JSON.stringify([{ Type: 'redirect', RedirectConfig: { Protocol: 'HTTPS', Port: '443', StatusCode: 'HTTP_302' } }])) },
  { id: 'I5', change: async () => {
    const { Rules } = await aws('elbv2', 'describe-rules', '--listener-arn', await listener('HTTPS'));
    const { RuleArn } = Rules.find(({ Conditions }) => Conditions[0]?.Field === 'host-header');
    await aws('elbv2', 'modify-rule', '--rule-arn', RuleArn, '--conditions', JSON.stringify([{ Field: 'host-header', HostHeaderConfig: { Values: ['*.example.com'] } }]));
  } },
  { id: 'I6', change: async () => aws('elbv2', 'modify-listener', '--listener-arn', await listener('HTTPS'), '--default-actions', JSON.stringify([{ Type: 'fixed-response', FixedResponseConfig: { StatusCode: '404', ContentType: 'text/plain', MessageBody: '' } }])) },
  { id: 'J5', change: () => ofGroup('load_balancing.algorithm.type', 'least_outstanding_requests') },
  { id: 'K2', change: async () => {
    const [group] = (await described()).networkConfiguration.awsvpcConfiguration.securityGroups;
    await aws('ec2', 'authorize-security-group-ingress', '--group-id', group, '--protocol', 'tcp', '--port', '3000', '--cidr', '0.0.0.0/0');
  } },
  { id: 'K4', change: () => aws('cloudwatch', 'disable-alarm-actions', '--alarm-names', `${NAME}-cpu`) },
  { id: 'K5',
    change: () => aws('cloudwatch', 'set-alarm-state', '--alarm-name', `${NAME}-cpu`, '--state-value', 'ALARM', '--state-reason', 'a rehearsal'),
    undo: () => aws('cloudwatch', 'set-alarm-state', '--alarm-name', `${NAME}-cpu`, '--state-value', 'OK', '--state-reason', 'a rehearsal') },
  { id: 'K6', change: async () => {
    const { logGroups: [{ logGroupName }] } = await aws('logs', 'describe-log-groups', '--log-group-name-prefix', '/mcp-gateway/local');
    return aws('logs', 'put-retention-policy', '--log-group-name', logGroupName, '--retention-in-days', '1');
  } },
  { id: 'M1', change: () => aws('dynamodb', 'update-table', '--table-name', `${NAME}-sessions`, '--billing-mode', 'PROVISIONED', '--provisioned-throughput', 'ReadCapacityUnits=5,WriteCapacityUnits=5') },
  { id: 'M2', change: () => aws('dynamodb', 'update-time-to-live', '--table-name', `${NAME}-sessions`, '--time-to-live-specification', 'Enabled=false,AttributeName=expires_at') },
  { id: 'M4', change: () => aws('dynamodb', 'update-table', '--table-name', `${NAME}-sessions`, '--deletion-protection-enabled') },
  { id: 'M5', change: () => aws('dynamodb', 'update-table', '--table-name', `${NAME}-sessions`, '--sse-specification', 'Enabled=false') },
  { id: 'M6', change: async () => aws('kms', 'disable-key-rotation', '--key-id', await key()) },
];

/** Takes the first target out of the rotation, or back in. */
let first;
async function target(verb) {
  const group = await targetGroup();
  first ??= (await aws('elbv2', 'describe-target-health', '--target-group-arn', group)).TargetHealthDescriptions[0].Target;
  await aws('elbv2', verb, '--target-group-arn', group, '--targets', `Id=${first.Id},Port=${first.Port}`);
}

/** What a revision is registered with. */
const REGISTERED = ['family', 'taskRoleArn', 'executionRoleArn', 'networkMode', 'containerDefinitions', 'volumes', 'requiresCompatibilities', 'cpu', 'memory', 'runtimePlatform', 'tags'];

async function register(revision) {
  const input = Object.fromEntries(REGISTERED.filter((name) => revision[name] !== undefined).map((name) => [name, revision[name]]));
  return (await aws('ecs', 'register-task-definition', '--cli-input-json', JSON.stringify(input))).taskDefinition.taskDefinitionArn;
}

/** The revision that runs, changed and run. */
const revised = (id, alter) => ({ id, change: async () => {
  const revision = await definition();
  const [container] = revision.containerDefinitions;
  Object.assign(revision, alter(container, revision));
  await service('--task-definition', await register(revision));
} });

/** Those that replace tasks or targets, or are a second symptom of one above. */
export const MOVES = [
  { id: 'A4', change: () => release(NO_IMAGE) },
  { id: 'B3', change: async () => service('--task-definition', await register(await definition())) },
  { id: 'B13', change: async () => {
    const { loadBalancers: [balanced] } = await described();
    await service('--load-balancers', JSON.stringify([{ ...balanced, containerPort: 8080 }]));
  } },
  { id: 'D2', change: () => release(NO_IMAGE), undo: async () => release((await running()).split('@')[1]) },
  { id: 'J6', change: () => target('deregister-targets'), undo: () => target('register-targets') },
];

/** The same of the task definition. */
export const REVISIONS = [
  { id: 'E1', change: async () => register(await definition()) },
  revised('E2', (container) => { [container.image] = container.image.split('@'); }),
  revised('E3', (container) => { container.stopTimeout = 30; }),
  revised('E4', (container) => { container.readonlyRootFilesystem = false; }),
  revised('E5', (container) => { container.logConfiguration.options.mode = 'blocking'; }),
  revised('E6', ({ secrets }) => { secrets[0].valueFrom = secrets[1].valueFrom; }),
  revised('E7', () => ({ runtimePlatform: { cpuArchitecture: 'ARM64', operatingSystemFamily: 'LINUX' } })),
  revised('E8', (_, { executionRoleArn }) => ({ taskRoleArn: executionRoleArn })),
  { id: 'E9', change: async () => aws('ecs', 'tag-resource', '--resource-arn', (await described()).taskDefinition, '--tags', 'key=release,value=0') },
  revised('E11', () => ({ cpu: '1024', memory: '4096' })),
  revised('E12', (container) => { container.healthCheck.timeout = 2; }),
  revised('E13', (container) => { container.command = ['check']; }),
  revised('E14', (container) => { container.ulimits[0].softLimit = 1024; }),
  revised('E15', (container) => { container.environment.push({ name: 'DEBUG', value: '1' }); }),
];
