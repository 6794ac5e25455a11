// What is asserted about the stacks with state, and about those that watch and deploy.

import { attributes, type Attribute, type Step } from './attribute.ts';

const dynamo = (which: 'Sessions' | 'Tokens'): Attribute[] => {
  const id = (number: number) => `M${number}-${which.toLowerCase()}`;
  const name = `mcp-gateway-production-${which.toLowerCase()}`;
  const recovery: Step[] = ['PointInTimeRecoverySpecification'];
  return attributes('data', 'AWS::DynamoDB::Table', [
    [id(1), 'the gateway looks for its rows in another table', ['TableName'], name, 'other', (d) => d.data.tables.find((table) => table === name)],
    [id(2), 'rows that ended stay for ever', ['TimeToLiveSpecification'], { AttributeName: 'expires_at', Enabled: true }, { AttributeName: 'expires_at', Enabled: false }, (d) => ({ AttributeName: d.data.time_to_live_attribute, Enabled: true })],
    [id(3), 'a bad release that deletes rows cannot be undone', [...recovery, 'PointInTimeRecoveryEnabled'], true, false, (d) => d.data.point_in_time_recovery],
    [id(4), 'the mistake is noticed after the history ended', [...recovery, 'RecoveryPeriodInDays'], 35, 1, (d) => d.data.point_in_time_recovery_days],
    [id(5), 'one wrong command deletes every login', ['DeletionProtectionEnabled'], true, false, (d) => d.data.deletion_protection],
    [id(6), 'rows are under a key that we cannot withdraw', ['SSESpecification', 'SSEEnabled'], true, false, undefined],
    [id(7), 'a morning of logins is throttled', ['BillingMode'], 'PAY_PER_REQUEST', 'PROVISIONED', (d) => d.data.billing_mode],
    [id(8), 'the gateway cannot read by its key', ['KeySchema'], [{ AttributeName: 'pk', KeyType: 'HASH' }], [{ AttributeName: 'id', KeyType: 'HASH' }], (d) => [{ AttributeName: d.data.partition_key, KeyType: 'HASH' }]],
    [id(9), 'the table goes with its stack', ['.', 'DeletionPolicy'], 'Retain', 'Delete', undefined],
    [id(10), 'an update that replaces the table loses it', ['.', 'UpdateReplacePolicy'], 'Retain', 'Delete', undefined],
  ], (logical) => logical.startsWith(which));
};

const key = attributes('data', 'AWS::KMS::Key', [
  ['M11', 'a key that leaked once opens everything for ever', ['EnableKeyRotation'], true, false, (d) => d.data.key_rotation],
  ['M12', 'the key is gone before somebody notices', ['PendingWindowInDays'], 30, 7, undefined],
  ['M13a', 'the key goes with its stack, and with it every credential', ['.', 'DeletionPolicy'], 'RetainExceptOnCreate', 'Delete', undefined],
  ['M13b', 'an update that replaces the key loses it', ['.', 'UpdateReplacePolicy'], 'Retain', 'Delete', undefined],
]);
const alias = attributes('data', 'AWS::KMS::Alias', [
  ['M14', 'tools do not find the key', ['AliasName'], 'alias/mcp-gateway-production', 'alias/other', (d) => d.data.key_alias],
]);

const secrets = [
  ...attributes('data', 'AWS::SecretsManager::Secret', [
    ['G1a', 'tasks look for the secret of Google under another name', ['Name'], 'mcp-gateway-production/google-oauth', 'other', (d) => d.secrets.names[0]],
    ['G1b', 'the secret of Google is in the template', ['SecretString'], undefined, 'hunter2', undefined],
    ['G1c', 'an invented secret lets the gateway start and every login fail', ['GenerateSecretString'], undefined, { PasswordLength: 32 }, undefined],
    ['G1d', 'the secret of Google is under a key that we cannot withdraw', ['KmsKeyId'], { 'Fn::GetAtt': ['MasterKeyB07C9BD3', 'Arn'] }, undefined, undefined],
    ['G1e', 'the secret of Google goes with its stack, and no task starts', ['.', 'DeletionPolicy'], 'RetainExceptOnCreate', 'Delete', undefined],
    ['G1f', 'an update that replaces the secret of Google loses it', ['.', 'UpdateReplacePolicy'], 'Retain', 'Delete', undefined],
  ], (id) => id.startsWith('SecretsGoogle')),
  ...attributes('data', 'AWS::SecretsManager::Secret', [
    ['G2a', 'tasks look for the session secret under another name', ['Name'], 'mcp-gateway-production/session-secret', 'other', (d) => d.secrets.names[1]],
    ['G2b', 'a session secret is short enough to be guessed', ['GenerateSecretString', 'PasswordLength'], 64, 16, undefined],
    ['G2c', 'a new stack makes a new session secret, and everybody logs in again', ['.', 'DeletionPolicy'], 'RetainExceptOnCreate', 'Delete', undefined],
    ['G2d', 'an update that replaces the session secret loses it', ['.', 'UpdateReplacePolicy'], 'Retain', 'Delete', undefined],
  ], (id) => id.startsWith('SecretsSession')),
];

const bucket = attributes('data', 'AWS::S3::Bucket', [
  ['H8b', 'access logs can be read by anybody', ['PublicAccessBlockConfiguration', 'BlockPublicPolicy'], true, false, undefined],
  ['H8c', 'addresses of people are kept for ever', ['LifecycleConfiguration', 'Rules', 0, 'ExpirationInDays'], 90, undefined, undefined],
  ['H8d', 'access logs go with the stack that somebody broke', ['.', 'DeletionPolicy'], 'RetainExceptOnCreate', 'Delete', undefined],
  ['H8e', 'an update that replaces the bucket loses the access logs', ['.', 'UpdateReplacePolicy'], 'Retain', 'Delete', undefined],
]);

const repository = attributes('registry', 'AWS::ECR::Repository', [
  ['F3', 'a tag means another image than at its release', ['ImageTagMutability'], 'IMMUTABLE', 'MUTABLE', (d) => d.registry.tag_mutability],
  ['F4', 'a known hole in an image is not noticed', ['ImageScanningConfiguration', 'ScanOnPush'], true, false, (d) => d.registry.scan_on_push],
  ['F6', 'the image of a release expires, and with it the way back',
    ['LifecyclePolicy', 'LifecyclePolicyText'],
    '{"rules":[{"rulePriority":1,"description":"images of runs that broke off","selection":{"tagStatus":"untagged","countType":"sinceImagePushed","countNumber":14,"countUnit":"days"},"action":{"type":"expire"}}]}',
    '{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":5},"action":{"type":"expire"}}]}', undefined],
  ['F7a', 'all images go with the stack', ['.', 'DeletionPolicy'], 'RetainExceptOnCreate', 'Delete', undefined],
  ['F7b', 'an update that replaces the registry loses all images', ['.', 'UpdateReplacePolicy'], 'Retain', 'Delete', undefined],
]);

const alarm = (what: string) => (_: string, resource: { Properties: Record<string, unknown> }) =>
  resource.Properties['AlarmName'] === `mcp-gateway-production-${what}`;
const watching = [
  ...attributes('observability', 'AWS::CloudWatch::Alarm', [
    ['K3a', 'a certificate ends before somebody looks', ['Threshold'], 30, 1, (d) => d.listener.certificate_min_days],
  ], alarm('certificate-expiry')),
  ...attributes('observability', 'AWS::CloudWatch::Alarm', [
    ['K3b', 'nobody notices that one task serves alone', ['Threshold'], 2, 0, (d) => d.scaling.min_tasks],
    ['K3c', 'no task at all is taken for health', ['TreatMissingData'], 'breaching', 'notBreaching', undefined],
  ], alarm('too-few-tasks')),
  ...attributes('observability', 'AWS::CloudWatch::Alarm', [
    ['K3d', 'a ping that does not run is taken for health', ['TreatMissingData'], 'breaching', 'notBreaching', undefined],
  ], alarm('ping-failed')),
  ...attributes('observability', 'AWS::Events::Rule', [
    ['K3e', 'the ping sleeps', ['ScheduleExpression'], 'rate(5 minutes)', 'rate(1 day)', (d) => `rate(${d.signals.ping_minutes} minutes)`],
  ]),
  ...attributes('observability', 'AWS::SNS::Subscription', [
    ['K3f', 'alarms reach nobody', ['Endpoint'], 'mcp-oncall@example.com', 'nobody@example.com', undefined],
  ]),
];

/** Everything about the other stacks. */
export const STATE_ATTRIBUTES: readonly Attribute[] = [
  ...dynamo('Sessions'), ...dynamo('Tokens'), ...key, ...alias, ...secrets, ...bucket, ...repository, ...watching,
];
