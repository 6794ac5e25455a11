// Attributes of the deployed account, changed by hand: each is found by its id (`ids`, where one has a second symptom)
// and nothing else, and what is printed repairs it; or `undo`, where that shows where to look, or takes a checkout.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { until } from '../support/processes.mjs';
import { ENDPOINT, MCP, NAME, aws, docker, run } from './stage.mjs';

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

/** Updates the stack of the pipeline with another template than it had at first, and waits for the end. */
let atFirst;
async function update(alter) {
  const stack = `${NAME}-pipeline`;
  atFirst ??= (await aws('cloudformation', 'get-template', '--stack-name', stack)).TemplateBody;
  await aws('cloudformation', 'update-stack', '--stack-name', stack, '--capabilities', 'CAPABILITY_NAMED_IAM', '--template-body', JSON.stringify(alter(atFirst)));
  await until('the stack', async () => !(await aws('cloudformation', 'describe-stacks', '--stack-name', stack)).Stacks[0].StackStatus.endsWith('IN_PROGRESS'));
}
const noted = (template) => ({ ...template, Description: 'altered by hand' });
/** To the template of before; a stack whose last update failed takes it only after another one. */
async function updateBack() {
  await update(noted);
  await update((template) => template);
}

/** Takes an image out of the registry, and puts it back under its tags. */
const lost = (id, digest) => {
  let removed;
  let tags;
  const ecr = (verb, ...args) => aws('ecr', verb, '--repository-name', NAME, ...args);
  return {
    id,
    change: async () => {
      const ids = ['--image-ids', JSON.stringify({ imageDigest: await digest() })];
      ({ images: [removed] } = await ecr('batch-get-image', ...ids));
      ({ imageDetails: [{ imageTags: tags }] } = await ecr('describe-images', ...ids));
      await ecr('batch-delete-image', ...ids);
    },
    undo: async () => {
      const { imageManifest, imageManifestMediaType, imageId } = removed;
      for (const tag of tags) await ecr('put-image', '--image-manifest', imageManifest, '--image-manifest-media-type', imageManifestMediaType, '--image-digest', imageId.imageDigest, '--image-tag', tag);
    },
  };
};

const scanOnPush = (isOn) => aws('ecr', 'put-image-scanning-configuration', '--repository-name', NAME, '--image-scanning-configuration', `scanOnPush=${isOn}`);

/** The last release that could be gone back to, and is another image than what runs. */
async function other() {
  const { Parameters } = await aws('ssm', 'get-parameters-by-path', '--path', '/mcp-gateway/local/releases');
  const image = await running();
  const releases = Parameters.map(({ Name: name, Value }) => ({ name, ...JSON.parse(Value) }));
  return releases.filter(({ status, digest }) => status === 'verified' && !image.endsWith(digest)).sort((one, two) => two.release - one.release)[0];
}

/** How the deploy role may be become, altered. */
let trust;
async function trusted(alter) {
  const name = `${NAME}-ci-deploy`;
  trust ??= (await aws('iam', 'get-role', '--role-name', name)).Role.AssumeRolePolicyDocument;
  await aws('iam', 'update-assume-role-policy', '--role-name', name, '--policy-document', JSON.stringify(alter(trust)));
}

const inSubnets = async (some) => aws('elbv2', 'set-subnets', '--load-balancer-arn', (await balancer()).LoadBalancerArn, '--subnets', ...some);
let subnets;

/** The certificate, replaced by one of our own that is good for so many days. */
async function certificate(days) {
  const directory = await mkdtemp(join(tmpdir(), 'rehearsal-'));
  try {
    await importCertificate(days, (name) => join(directory, `${name}.pem`));
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function importCertificate(days, file) {
  const { host } = new URL(MCP);
  await run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-noenc', '-days', String(days), '-subj', '/', '-addext', `subjectAltName=DNS:${host}`, '-keyout', file('key'), '-out', file('certificate')]);
  const { Certificates: [{ CertificateArn }] } = (await aws('elbv2', 'describe-listeners', '--load-balancer-arn', (await balancer()).LoadBalancerArn)).Listeners.find(({ Protocol }) => Protocol === 'HTTPS');
  await aws('acm', 'import-certificate', '--certificate-arn', CertificateArn, '--certificate', `fileb://${file('certificate')}`, '--private-key', `fileb://${file('key')}`);
}

/** Sets the timeout of the function that asks for tools every few minutes, in seconds. */
async function patience(seconds) {
  const { Timeout } = await aws('lambda', 'get-function-configuration', '--function-name', `${NAME}-ping`);
  timeout ??= String(Timeout);
  await aws('lambda', 'update-function-configuration', '--function-name', `${NAME}-ping`, '--timeout', seconds);
}
let timeout;

/** Sets the version of HTTP of the target group. No account lets anybody, nor does the `aws` command line. */
async function speak(version) {
  const body = new URLSearchParams({ Action: 'ModifyTargetGroup', Version: '2015-12-01', TargetGroupArn: await targetGroup(), ProtocolVersion: version });
  const { ok, status } = await fetch(ENDPOINT, { method: 'POST', body, headers: { authorization: 'AWS4-HMAC-SHA256 Credential=AKIAMINI/20260101/us-east-1/elasticloadbalancing/aws4_request' } });
  if (!ok) throw new Error(`the emulator answers ${status}`);
}

/** Changes by the id that finds each. `undo`: what is printed only shows where to look. */
export const CHANGES = [
  { id: 'A3', change: () => aws('cloudformation', 'update-termination-protection', '--enable-termination-protection', '--stack-name', `${NAME}-pipeline`) },
  { id: 'A2', change: () => update((template) => ({ ...template, Resources: { ...template.Resources, Broken: BROKEN } })), undo: updateBack },
  { id: 'A6', change: () => update(noted), undo: () => update((template) => template) },
  deployment('B5', (configuration) => ({ ...configuration, maximumPercent: 150 })),
  deployment('B6', (configuration) => ({ ...configuration, deploymentCircuitBreaker: { ...configuration.deploymentCircuitBreaker, enable: false } })),
  deployment('B7', (configuration) => ({ ...configuration, alarms: { ...configuration.alarms, enable: false } })),
  deployment('B8', (configuration) => ({ ...configuration, strategy: 'BLUE_GREEN' })),
  { id: 'B9', change: () => service('--health-check-grace-period-seconds', '0') },
  { id: 'B10', change: () => service('--availability-zone-rebalancing', 'ENABLED') },
  { id: 'B11', change: () => service('--enable-execute-command') },
  { id: 'B14', change: () => service('--deployment-controller', 'type=CODE_DEPLOY') },
  { id: 'B12', change: async () => {
    const { subnets, securityGroups, assignPublicIp } = (await described()).networkConfiguration.awsvpcConfiguration;
    await service('--network-configuration', JSON.stringify({ awsvpcConfiguration: { subnets: subnets.slice(1), securityGroups, assignPublicIp } }));
  } },
  lost('F1', async () => (await running()).split('@')[1]),
  lost('F2', async () => (await other()).digest),
  { id: 'F3', change: () => aws('ecr', 'put-image-tag-mutability', '--repository-name', NAME, '--image-tag-mutability', 'MUTABLE') },
  { id: 'F4', change: () => scanOnPush(false) },
  { id: 'F5', change: async () => {
    const image = lost('F5', async () => (await running()).split('@')[1]);
    await image.change();
    await scanOnPush(false);
    await image.undo();
    await scanOnPush(true);
  } },
  { id: 'F6', change: () => {
    const rule = { rulePriority: 1, selection: { tagStatus: 'any', countType: 'imageCountMoreThan', countNumber: 5 }, action: { type: 'expire' } };
    return aws('ecr', 'put-lifecycle-policy', '--repository-name', NAME, '--lifecycle-policy-text', JSON.stringify({ rules: [rule] }));
  } },
  { id: 'G1', change: () => aws('secretsmanager', 'delete-secret', '--secret-id', `${NAME}/session-secret`, '--recovery-window-in-days', '7') },
  { id: 'G2',
    change: async () => aws('iam', 'put-role-policy', '--role-name', await role('executionRoleArn'), '--policy-name', 'rehearsal', '--policy-document', policy('Deny')),
    undo: async () => aws('iam', 'delete-role-policy', '--role-name', await role('executionRoleArn'), '--policy-name', 'rehearsal') },
  { id: 'G4', change: () => trusted((policy) => ({ ...policy, Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { AWS: '*' } }] })), undo: () => trusted((policy) => policy) },
  { id: 'G5',
    change: async () => aws('iam', 'put-role-policy', '--role-name', await role('taskRoleArn'), '--policy-name', 'rehearsal', '--policy-document', policy('Allow')),
    undo: async () => aws('iam', 'delete-role-policy', '--role-name', await role('taskRoleArn'), '--policy-name', 'rehearsal') },
  { id: 'H1',
    change: async () => {
      subnets = (await balancer()).AvailabilityZones.map(({ SubnetId }) => SubnetId);
      await inSubnets(subnets.slice(1));
    },
    undo: () => inSubnets(subnets) },
  { id: 'H3', change: () => ofBalancer('client_keep_alive.seconds', '3600') },
  { id: 'H4', change: () => ofBalancer('routing.http2.enabled', 'false') },
  { id: 'H5', change: () => ofBalancer('routing.http.drop_invalid_header_fields.enabled', 'false') },
  { id: 'H6', change: () => ofBalancer('routing.http.desync_mitigation_mode', 'monitor') },
  { id: 'H7', change: () => ofBalancer('deletion_protection.enabled', 'true') },
  { id: 'H8', change: () => ofBalancer('access_logs.s3.enabled', 'false') },
  { id: 'H9', change: async () => {
    const { Summary } = await aws('wafv2', 'create-web-acl', '--name', 'rehearsal', '--scope', 'REGIONAL', '--default-action', 'Allow={}', '--visibility-config', 'SampledRequestsEnabled=false,CloudWatchMetricsEnabled=false,MetricName=rehearsal');
    await aws('wafv2', 'associate-web-acl', '--resource-arn', (await balancer()).LoadBalancerArn, '--web-acl-arn', Summary.ARN);
  } },
  { id: 'I1', change: async () => aws('elbv2', 'modify-listener', '--listener-arn', await listener('HTTPS'), '--ssl-policy', 'ELBSecurityPolicy-2016-08') },
  { id: 'I3', change: () => certificate(10), undo: () => certificate(365) },
  { id: 'I4', change: async () => aws('elbv2', 'modify-listener', '--listener-arn', await listener('HTTP'), '--default-actions', JSON.stringify([{ Type: 'redirect', RedirectConfig: { Protocol: 'HTTPS', Port: '443', StatusCode: 'HTTP_302' } }])) },
  { id: 'I5', change: async () => {
    const { Rules } = await aws('elbv2', 'describe-rules', '--listener-arn', await listener('HTTPS'));
    const { RuleArn } = Rules.find(({ Conditions }) => Conditions[0]?.Field === 'host-header');
    await aws('elbv2', 'modify-rule', '--rule-arn', RuleArn, '--conditions', JSON.stringify([{ Field: 'host-header', HostHeaderConfig: { Values: ['*.example.com'] } }]));
  } },
  { id: 'I6', change: async () => aws('elbv2', 'modify-listener', '--listener-arn', await listener('HTTPS'), '--default-actions', JSON.stringify([{ Type: 'fixed-response', FixedResponseConfig: { StatusCode: '404', ContentType: 'text/plain', MessageBody: '' } }])) },
  { id: 'J1', change: () => speak('HTTP2'), undo: () => speak('HTTP1') },
  { id: 'J5', change: () => ofGroup('load_balancing.algorithm.type', 'least_outstanding_requests') },
  { id: 'K2', change: async () => {
    const [group] = (await described()).networkConfiguration.awsvpcConfiguration.securityGroups;
    await aws('ec2', 'authorize-security-group-ingress', '--group-id', group, '--protocol', 'tcp', '--port', '3000', '--cidr', '0.0.0.0/0');
  } },
  { id: 'K3', change: () => aws('application-autoscaling', 'register-scalable-target', '--service-namespace', 'ecs', '--scalable-dimension', 'ecs:service:DesiredCount', '--resource-id', `service/${NAME}/${NAME}`, '--min-capacity', '1') },
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
  { id: 'M3', change: () => aws('dynamodb', 'update-continuous-backups', '--table-name', `${NAME}-sessions`, '--point-in-time-recovery-specification', 'PointInTimeRecoveryEnabled=true,RecoveryPeriodInDays=7') },
  { id: 'M4', change: () => aws('dynamodb', 'update-table', '--table-name', `${NAME}-sessions`, '--deletion-protection-enabled') },
  { id: 'M5', change: () => aws('dynamodb', 'update-table', '--table-name', `${NAME}-sessions`, '--sse-specification', 'Enabled=false') },
  { id: 'M6', change: async () => aws('kms', 'disable-key-rotation', '--key-id', await key()) },
];

const target = async (verb, { Id, Port }) => aws('elbv2', verb, '--target-group-arn', await targetGroup(), '--targets', `Id=${Id},Port=${Port}`);
/** The first target, taken out of the rotation. */
let first;
async function takeOut() {
  ({ Target: first } = (await aws('elbv2', 'describe-target-health', '--target-group-arn', await targetGroup())).TargetHealthDescriptions[0]);
  await target('deregister-targets', first);
}
let placement;
/** An address on the network of the tasks that no task has. */
const NOBODY = '10.66.0.250';

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

/** A deployment that may neither start a task nor stop one, and so never ends. */
const HELD = { minimumHealthyPercent: 100, maximumPercent: 100 };
const held = (id, options) => {
  let before;
  return {
    id,
    isOpen: true,
    change: async () => {
      before = await described();
      await service('--deployment-configuration', JSON.stringify({ ...before.deploymentConfiguration, ...HELD }));
      await service(...(await options()));
    },
    undo: async () => {
      const { taskDefinition } = await described();
      await service('--deployment-configuration', JSON.stringify(before.deploymentConfiguration), '--task-definition', before.taskDefinition);
      if (taskDefinition !== before.taskDefinition) await aws('ecs', 'deregister-task-definition', '--task-definition', taskDefinition);
    },
  };
};

/** The first task that runs, and its container. */
async function someTask() {
  const { taskArns: [task] } = await aws('ecs', 'list-tasks', '--cluster', NAME, '--service-name', NAME);
  const { tasks: [{ containers: [{ runtimeId }] }] } = await aws('ecs', 'describe-tasks', '--cluster', NAME, '--tasks', task);
  return { task, container: runtimeId };
}

/** A task whose process is stopped. */
let stopped;
const health = async () => (await aws('ecs', 'describe-tasks', '--cluster', NAME, '--tasks', stopped.task)).tasks[0].healthStatus;
/** More than the health check of a task takes to fail as often as it has to. */
const UNHEALTHY_MS = 150_000;

/** Those that replace tasks or targets, or have a second symptom: of a group nothing else is found. `isOpen`: it never ends. */
export const MOVES = [
  { id: 'A4', change: () => release(NO_IMAGE) },
  { id: 'A5', more: ['--drift'], change: () => patience('59'), undo: () => patience(timeout) },
  { ids: ['B1', 'B4'], isOpen: true, change: () => aws('ecs', 'delete-service', '--force', '--cluster', NAME, '--service', NAME) },
  { id: 'B3', change: async () => service('--task-definition', await register(await definition())) },
  { id: 'B13', change: async () => {
    const { loadBalancers: [balanced] } = await described();
    await service('--load-balancers', JSON.stringify([{ ...balanced, containerPort: 8080 }]));
  } },
  { id: 'C3', change: () => release(NO_IMAGE), undo: async () => release((await running()).split('@')[1]) },
  held('C4', () => ['--force-new-deployment']),
  held('D1', async () => ['--task-definition', await register(await definition())]),
  { id: 'D2', change: () => release(NO_IMAGE), undo: async () => release((await running()).split('@')[1]) },
  { id: 'D3',
    change: async () => {
      stopped = await someTask();
      await docker('kill', '--signal', 'STOP', stopped.container);
      await until('an unhealthy task', async () => (await health()) === 'UNHEALTHY', [], UNHEALTHY_MS);
    },
    undo: async () => {
      await docker('kill', '--signal', 'CONT', stopped.container);
      await until('a healthy task', async () => (await health()) === 'HEALTHY', [], UNHEALTHY_MS);
    } },
  { id: 'D4',
    change: async () => {
      placement = (await described()).networkConfiguration;
      const { awsvpcConfiguration } = placement;
      await service('--force-new-deployment', '--network-configuration', JSON.stringify({ awsvpcConfiguration: { ...awsvpcConfiguration, subnets: awsvpcConfiguration.subnets.slice(1) } }));
    },
    undo: () => service('--force-new-deployment', '--network-configuration', JSON.stringify(placement)) },
  { id: 'D7', change: async () => aws('ecs', 'update-task-protection', '--cluster', NAME, '--tasks', (await someTask()).task, '--protection-enabled') },
  { ids: ['J6', 'J7'], change: takeOut, undo: () => target('register-targets', first) },
  // ministack calls every target healthy.
  { id: 'J7',
    change: async () => {
      await takeOut();
      await target('register-targets', { ...first, Id: NOBODY });
    },
    undo: async () => {
      await target('register-targets', first);
      await target('deregister-targets', { ...first, Id: NOBODY });
    } },
];

/** A revision whose tasks end as soon as they start. */
let crashing;

/** Tasks that end as they should not. What ECS keeps of them for an hour is found that long, and nothing repairs it. */
export const FAILURES = [
  { ids: ['D6'], change: async () => {
    const { task, container } = await someTask();
    // It does not see that it shall stop, and is killed.
    await docker('kill', '--signal', 'STOP', container);
    await aws('ecs', 'stop-task', '--cluster', NAME, '--task', task);
    await docker('kill', container);
    // ECS replaces a task by itself; ministack does when it is told the count again.
    await service('--desired-count', '2');
  } },
  { ids: ['B2', 'D5', 'D6'],
    change: async () => {
      const containers = async () => (await docker('ps', '--quiet')).split('\n');
      const before = await containers();
      await service('--force-new-deployment');
      const started = () => until('another container', async () => (await containers()).find((container) => !before.includes(container)));
      await docker('kill', await started());
    },
    undo: () => service('--force-new-deployment') },
  { ids: ['C1', 'C2'],
    change: async () => {
      const revision = await definition();
      revision.containerDefinitions[0].command = ['no-such-verb'];
      crashing = await register(revision);
      await service('--task-definition', crashing);
      await until('a deployment that was sent back', async () => (await aws('ecs', 'list-service-deployments', '--cluster', NAME, '--service', NAME)).serviceDeployments[0].status === 'ROLLBACK_SUCCESSFUL', [], UNHEALTHY_MS);
    },
    undo: async () => {
      await service('--force-new-deployment');
      await aws('ecs', 'deregister-task-definition', '--task-definition', crashing);
    } },
];

/** A release that nobody can go back to any more. */
let gone;

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
  { id: 'E10',
    change: async () => {
      gone = await other();
      await aws('ecs', 'deregister-task-definition', '--task-definition', gone.revision);
    },
    // It does not come back under its number, so nobody shall count on it.
    undo: () => aws('ssm', 'delete-parameters', '--names', gone.name) },
  revised('E11', () => ({ cpu: '1024', memory: '4096' })),
  revised('E12', (container) => { container.healthCheck.timeout = 2; }),
  revised('E13', (container) => { container.command = ['check']; }),
  revised('E14', (container) => { container.ulimits[0].softLimit = 1024; }),
  revised('E15', (container) => { container.environment.push({ name: 'DEBUG', value: '1' }); }),
];
