// Least privilege: what each role may do, word for word, and what it must never be able to do.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { DRIFT_ACTIONS, READ_ACTIONS } from '../lib/construct/read-actions.ts';
import { TABLE_ACTIONS } from '../lib/construct/roles.ts';
import { built, resources, type Kind } from './support/templates.ts';

interface Statement {
  Sid?: string;
  Effect: string;
  Action: string | string[];
  Resource: unknown;
  Condition?: Record<string, Record<string, unknown>>;
}

const { templates } = built('production');

function statements(kind: Kind, role: string): Statement[] {
  return resources(templates[kind], 'AWS::IAM::Policy')
    .filter(([id]) => id.startsWith(role))
    .flatMap(([, { Properties }]) => (Properties['PolicyDocument'] as { Statement: Statement[] }).Statement);
}

const actions = (list: Statement[]) => list.flatMap(({ Action }) => Action);
const everything: [Kind, string][] = [
  ['service', 'RolesTask'], ['service', 'RolesExecution'], ['observability', 'PingRole'],
  ['pipeline', 'GitHubPlan'], ['pipeline', 'GitHubPush'], ['pipeline', 'GitHubDeploy'],
];

describe('the gateway itself', () => {
  const list = statements('service', 'RolesTask');

  it('may use its two tables and its key, and nothing else', () => {
    expect(list.map(({ Sid, Action }) => [Sid, Action])).toEqual([
      ['Rows', [...TABLE_ACTIONS]],
      ['Envelopes', ['kms:Decrypt', 'kms:GenerateDataKey']],
      ['TablesKey', ['kms:Decrypt', 'kms:DescribeKey', 'kms:Encrypt', 'kms:GenerateDataKey', 'kms:ReEncryptFrom', 'kms:ReEncryptTo']],
    ]);
  });

  it('names each resource', () => {
    for (const { Resource } of list) expect(JSON.stringify(Resource)).not.toContain('*');
    expect(list[0]?.Resource).toHaveLength(2);
  });

  it('uses the key of the tables through DynamoDB only', () => {
    expect(list[2]?.Condition).toEqual({ StringEquals: { 'kms:ViaService': 'dynamodb.us-east-1.amazonaws.com' } });
  });

  it('cannot read secrets, release itself, or become another role', () => {
    expect(actions(list).filter((action) => /^(secretsmanager|ecs|iam|sts|ssm|ecr):/.test(action))).toEqual([]);
  });

  it('may call every operation that its store calls', () => {
    const allowed = new Set(TABLE_ACTIONS.map((action) => action.replace('dynamodb:', '')));
    const missing = [...storeOperations()].filter((operation) => !allowed.has(operation as never));
    expect(missing).toEqual([]);
  });
});

/** Operations by their name in IAM. A transaction is allowed by those inside it; only the engine on a laptop makes tables. */
const OPERATIONS: Readonly<Record<string, string>> = {
  get_item: 'GetItem', put_item: 'PutItem', update_item: 'UpdateItem', delete_item: 'DeleteItem', query: 'Query', scan: 'Scan',
  batch_get_item: 'BatchGetItem', batch_write_item: 'BatchWriteItem', describe_table: 'DescribeTable',
  describe_time_to_live: 'DescribeTimeToLive',
};

/** What the gateway's store calls, as its sources say: tests and the engine on a laptop aside. */
function storeOperations(): Set<string> {
  const store = fileURLToPath(new URL('../../gateway/src/store', import.meta.url));
  const found = new Set<string>();
  for (const entry of readdirSync(store, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isFile() || !entry.name.endsWith('.rs') || /tests?|contract|embedded/.test(path.slice(store.length))) continue;
    for (const [, method] of readFileSync(path, 'utf8').matchAll(/\.([a-z_]+)\(\)/g)) {
      const operation = method === undefined ? undefined : OPERATIONS[method];
      if (operation) found.add(operation);
    }
  }
  if (!found.has('GetItem')) throw new Error('the operations of the store are not found in its sources');
  return found;
}

describe('what starts a task', () => {
  const list = statements('service', 'RolesExecution');

  it('may fetch one image, read two secrets and write one log', () => {
    expect(list.map(({ Sid, Action }) => [Sid, Action])).toEqual([
      ['RegistryToken', 'ecr:GetAuthorizationToken'],
      ['Image', ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer']],
      ['Secrets', 'secretsmanager:GetSecretValue'],
      ['SecretsKey', 'kms:Decrypt'],
      ['Logs', ['logs:CreateLogStream', 'logs:PutLogEvents']],
    ]);
  });

  it('uses the key through Secrets Manager only', () => {
    expect(list[3]?.Condition).toEqual({ StringEquals: { 'kms:ViaService': 'secretsmanager.us-east-1.amazonaws.com' } });
  });
});

describe('roles of tasks', () => {
  it.each(['RolesTask', 'RolesExecution'])('%s can be taken by tasks of this account only', (role) => {
    const found = resources(templates.service, 'AWS::IAM::Role').find(([id]) => id.startsWith(role));
    const [trust] = (found?.[1].Properties['AssumeRolePolicyDocument'] as { Statement: Statement[] }).Statement;
    expect(trust).toMatchObject({ Principal: { Service: 'ecs-tasks.amazonaws.com' } });
    expect(trust?.Condition?.['StringEquals']).toEqual({ 'aws:SourceAccount': { Ref: 'AWS::AccountId' } });
    expect(JSON.stringify(trust?.Condition?.['ArnLike'])).toContain(':*');
  });

  it('have no managed policy of AWS', () => {
    for (const kind of ['service', 'observability', 'pipeline'] as const) {
      for (const [id, { Properties }] of resources(templates[kind], 'AWS::IAM::Role')) {
        expect(Properties['ManagedPolicyArns'], id).toBeUndefined();
      }
    }
  });
});

describe('the pipeline', () => {
  it('can be taken only by jobs of this repository, by id, for this environment', () => {
    for (const role of ['GitHubPush', 'GitHubDeploy']) {
      const found = resources(templates.pipeline, 'AWS::IAM::Role').find(([id]) => id.startsWith(role));
      const [trust] = (found?.[1].Properties['AssumeRolePolicyDocument'] as { Statement: Statement[] }).Statement;
      expect(trust?.Condition).toEqual({
        StringEquals: {
          'token.actions.githubusercontent.com:aud': 'sts.amazonaws.com',
          'token.actions.githubusercontent.com:sub': ['repo:example/mcp-gateway:environment:production'],
          'token.actions.githubusercontent.com:repository_id': '100000000',
        },
      });
    }
  });

  it('reads without changing anything, and without rows, lines and secrets', () => {
    expect([...READ_ACTIONS, ...DRIFT_ACTIONS].filter((action) => !/:(Describe|List|Get|BatchGet|Detect|Simulate)/.test(action))).toEqual([]);
    expect([...READ_ACTIONS, ...DRIFT_ACTIONS].filter((action) => /GetSecretValue|GetParameter|GetItem|GetObject$|lambda:|:Query|:Scan|GetLogEvents|FilterLogEvents|StartQuery/.test(action))).toEqual([]);
    expect(statements('pipeline', 'GitHubPlan').map(({ Sid }) => Sid)).toEqual(['Verify', 'Parameters', 'Drift', 'DriftOfFunction', 'PlanByCdk']);
  });

  it('pushes images and nothing else', () => {
    expect([...new Set(actions(statements('pipeline', 'GitHubPush')).map((action) => action.split(':')[0]))]).toEqual(['ecr']);
  });

  it('passes the two roles to tasks and to nothing else', () => {
    const pass = statements('pipeline', 'GitHubDeploy').filter(({ Action }) => [Action].flat().includes('iam:PassRole'));
    expect(pass).toHaveLength(1);
    expect(pass[0]?.Resource).toHaveLength(2);
    expect(pass[0]?.Condition).toEqual({ StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } });
  });

  it('moves one service', () => {
    const move = statements('pipeline', 'GitHubDeploy').find(({ Sid }) => Sid === 'MoveTheService');
    expect(JSON.stringify(move?.Resource)).toContain(':service/mcp-gateway-production/mcp-gateway-production"');
    expect(move?.Action).toEqual(['ecs:StopServiceDeployment', 'ecs:UpdateService']);
  });
});

describe('no role', () => {
  it('is allowed an action by wildcard', () => {
    for (const [kind, role] of everything) {
      expect(actions(statements(kind, role)).filter((action) => action.includes('*')), role).toEqual([]);
    }
  });

  it('may do more than read, log in to the registry or deregister revisions everywhere', () => {
    for (const [kind, role] of everything) {
      const wide = statements(kind, role).filter(({ Resource }) => Resource === '*');
      const allowed = new Set(['ecr:GetAuthorizationToken', 'ecs:DeregisterTaskDefinition', ...READ_ACTIONS, ...DRIFT_ACTIONS]);
      expect(actions(wide).filter((action) => !allowed.has(action)), role).toEqual([]);
    }
  });
});
