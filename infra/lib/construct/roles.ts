// The two roles of a task: what ECS may do to start it, and what the gateway may do once it runs.

import { ArnFormat, Stack } from 'aws-cdk-lib';
import type { ITable } from 'aws-cdk-lib/aws-dynamodb';
import type { IRepository } from 'aws-cdk-lib/aws-ecr';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';

import type { Names } from '../names.ts';

/** What the roles are about. */
export interface TaskRolesProps {
  readonly names: Names;
  readonly tables: readonly ITable[];
  readonly key: IKey;
  readonly secrets: readonly ISecret[];
  readonly logGroup: ILogGroup;
  readonly repository: IRepository;
}

/** Every operation of the gateway's store; a test compares them with its code. */
export const TABLE_ACTIONS = [
  'dynamodb:BatchGetItem',
  'dynamodb:BatchWriteItem',
  'dynamodb:ConditionCheckItem',
  'dynamodb:DeleteItem',
  'dynamodb:DescribeTable',
  'dynamodb:DescribeTimeToLive',
  'dynamodb:GetItem',
  'dynamodb:PutItem',
  'dynamodb:Query',
  'dynamodb:UpdateItem',
] as const;

/** Written out statement by statement, because the grants of the L2 constructs allow more than is used. */
export class TaskRoles extends Construct {
  readonly task: Role;
  readonly execution: Role;

  constructor(scope: Construct, id: string, props: TaskRolesProps) {
    super(scope, id);
    this.execution = this.role('Execution', props.names.roles.execution, 'Starts tasks of the MCP gateway: image, secrets, logs');
    this.task = this.role('Task', props.names.roles.task, 'The MCP gateway itself: its tables and its key');
    for (const statement of executionStatements(this, props)) this.execution.addToPolicy(statement);
    for (const statement of taskStatements(this, props)) this.task.addToPolicy(statement);
  }

  private role(id: string, roleName: string, description: string): Role {
    const stack = Stack.of(this);
    const anyTask = stack.formatArn({ service: 'ecs', resource: '*', arnFormat: ArnFormat.COLON_RESOURCE_NAME });
    const principal = new ServicePrincipal('ecs-tasks.amazonaws.com', {
      conditions: {
        StringEquals: { 'aws:SourceAccount': stack.account },
        ArnLike: { 'aws:SourceArn': anyTask },
      },
    });
    return new Role(this, id, { roleName, description, assumedBy: principal });
  }
}

function executionStatements(scope: Construct, { repository, secrets, key, logGroup }: TaskRolesProps): PolicyStatement[] {
  return [
    // The one action that knows no resource: a token for the registry as a whole.
    new PolicyStatement({ sid: 'RegistryToken', actions: ['ecr:GetAuthorizationToken'], resources: ['*'] }),
    new PolicyStatement({
      sid: 'Image',
      actions: ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
      resources: [repository.repositoryArn],
    }),
    new PolicyStatement({
      sid: 'Secrets',
      actions: ['secretsmanager:GetSecretValue'],
      resources: secrets.map((secret) => secret.secretArn),
    }),
    new PolicyStatement({
      sid: 'SecretsKey',
      actions: ['kms:Decrypt'],
      resources: [key.keyArn],
      conditions: { StringEquals: { 'kms:ViaService': `secretsmanager.${Stack.of(scope).region}.amazonaws.com` } },
    }),
    new PolicyStatement({
      sid: 'Logs',
      actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
      resources: [logGroup.logGroupArn],
    }),
  ];
}

function taskStatements(scope: Construct, { tables, key }: TaskRolesProps): PolicyStatement[] {
  return [
    new PolicyStatement({ sid: 'Rows', actions: [...TABLE_ACTIONS], resources: tables.map((table) => table.tableArn) }),
    // The gateway's own envelopes: a fresh data key, and the opening of an old one.
    new PolicyStatement({ sid: 'Envelopes', actions: ['kms:Decrypt', 'kms:GenerateDataKey'], resources: [key.keyArn] }),
    // The tables' encryption at rest, which DynamoDB does on behalf of its caller.
    new PolicyStatement({
      sid: 'TablesKey',
      actions: ['kms:Decrypt', 'kms:DescribeKey', 'kms:Encrypt', 'kms:GenerateDataKey', 'kms:ReEncryptFrom', 'kms:ReEncryptTo'],
      resources: [key.keyArn],
      conditions: { StringEquals: { 'kms:ViaService': `dynamodb.${Stack.of(scope).region}.amazonaws.com` } },
    }),
  ];
}
