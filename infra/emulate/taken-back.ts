// What is left of protected state when CloudFormation takes its creation back, or an update, or when the stack goes.

import { setTimeout as sleep } from 'node:timers/promises';

import type { Built, Template } from '../test/support/templates.ts';
import type { Aws } from './aws.ts';

/** Deploys the data stack so that it fails, well, and so that it fails again; says what is there that should not be, and the reverse. */
export async function takeBack(aws: Aws, { declared, templates }: Built): Promise<string> {
  const stack = new DataStack(aws, declared.account.stacks.find(({ kind }) => kind === 'data')?.name ?? '');
  const tables = [...declared.data.tables].sort();
  const secrets = [...declared.secrets.names].sort();
  const problems: string[] = [];
  const expectState = async (when: string, status: string, names: { tables: string[]; secrets: string[]; buckets: number }) => {
    const [wanted, found] = [JSON.stringify({ status, ...names }), JSON.stringify({ status: await stack.end(), ...(await stack.state()) })];
    if (found !== wanted) problems.push(`${when}: ${found} instead of ${wanted}`);
  };

  await stack.call('create_stack', broken(templates.data));
  await expectState('after a creation that was taken back', 'ROLLBACK_COMPLETE', { tables, secrets: [], buckets: 0 });
  const keys = await stack.keys();
  if (keys.join() !== 'PendingDeletion') problems.push(`after a creation that was taken back: keys are ${keys.join(', ')}`);

  // As the runbook says it.
  for (const TableName of tables) {
    await aws.call('dynamodb', 'update_table', { TableName, DeletionProtectionEnabled: false });
    await aws.call('dynamodb', 'delete_table', { TableName });
  }
  await stack.call('delete_stack');
  await expectState('after its removal', 'DELETE_COMPLETE', { tables: [], secrets: [], buckets: 0 });
  await stack.call('create_stack', templates.data);
  await expectState('after the next creation', 'CREATE_COMPLETE', { tables, secrets, buckets: 1 });

  const [TableName] = tables;
  const row = { pk: { S: 'kept' } };
  await aws.call('dynamodb', 'put_item', { TableName, Item: row });
  await stack.call('update_stack', broken(templates.data));
  await expectState('after an update that was taken back', 'UPDATE_ROLLBACK_COMPLETE', { tables, secrets, buckets: 1 });
  await stack.call('delete_stack');
  await expectState('without the stack', 'DELETE_COMPLETE', { tables, secrets, buckets: 1 });
  const { Item } = await aws.call('dynamodb', 'get_item', { TableName, Key: row });
  if (JSON.stringify(Item) !== JSON.stringify(row)) problems.push(`the row that was there is ${JSON.stringify(Item)}`);
  return problems.join('\n');
}

/** With one resource more, which comes last and cannot be made: the bootstrap has a parameter of that name. */
function broken(template: Template): Template {
  const Broken = {
    Type: 'AWS::SSM::Parameter',
    Properties: { Name: '/cdk-bootstrap/hnb659fds/version', Type: 'String', Value: 'taken' },
    DependsOn: Object.keys(template.Resources),
  };
  return { ...template, Resources: { ...template.Resources, Broken } };
}

/** The stack, by API: the CDK CLI has nothing to say here. */
class DataStack {
  private readonly aws: Aws;
  private readonly name: string;
  private id = '';

  constructor(aws: Aws, name: string) {
    this.aws = aws;
    this.name = name;
  }

  async call(operation: string, template?: Template): Promise<void> {
    const body = template ? { TemplateBody: JSON.stringify(template) } : {};
    const { StackId } = await this.aws.call('cloudformation', operation, { StackName: this.name, ...body });
    this.id = (StackId as string | undefined) ?? this.id;
  }

  /** How it ended. By its id, which a stack has also when it is gone. */
  async end(): Promise<string> {
    for (const end = Date.now() + 60_000; ; await sleep(200)) {
      const { Stacks } = (await this.aws.call('cloudformation', 'describe_stacks', { StackName: this.id })) as { Stacks: { StackStatus: string }[] };
      const status = Stacks[0]?.StackStatus ?? 'gone';
      if (!status.endsWith('_IN_PROGRESS') || Date.now() > end) return status;
    }
  }

  /** What there is in the account. */
  async state(): Promise<{ tables: string[]; secrets: string[]; buckets: number }> {
    const { TableNames } = (await this.aws.call('dynamodb', 'list_tables')) as { TableNames: string[] };
    const { SecretList } = (await this.aws.call('secretsmanager', 'list_secrets')) as { SecretList: { Name: string }[] };
    const { Buckets } = (await this.aws.call('s3', 'list_buckets')) as { Buckets: { Name: string }[] };
    return {
      tables: [...TableNames].sort(),
      secrets: SecretList.map(({ Name }) => Name).sort(),
      buckets: Buckets.filter(({ Name }) => Name.startsWith(this.name)).length,
    };
  }

  /** The states of the keys that it made. */
  async keys(): Promise<string[]> {
    const { StackEvents } = (await this.aws.call('cloudformation', 'describe_stack_events', { StackName: this.id })) as { StackEvents: Record<string, string>[] };
    const ids = new Set(StackEvents.filter((event) => event['ResourceType'] === 'AWS::KMS::Key').flatMap((event) => event['PhysicalResourceId'] || []));
    const states = [...ids].map((KeyId) => this.aws.call('kms', 'describe_key', { KeyId }) as Promise<{ KeyMetadata: { KeyState: string } }>);
    return (await Promise.all(states)).map(({ KeyMetadata }) => KeyMetadata.KeyState);
  }
}
