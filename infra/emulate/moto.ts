// Sets on moto by API what ministack's CloudFormation loses, with the properties of the template, and reads it back.

import { resources, type Templates } from '../test/support/templates.ts';
import type { Declared } from '../lib/declared.ts';
import type { Aws, Answer } from './aws.ts';
import type { Live, Outputs } from './live.ts';
import { readLoadBalancer } from './live.ts';
import { readData, readScaling } from './live-rest.ts';

type Row = Record<string, unknown>;

/** What moto confirms: the properties with `instead: 'moto'` in `gaps.ts`. */
export async function readByMoto(aws: Aws, templates: Templates, declared: Declared): Promise<Live> {
  const outputs = { ...(await createKey(aws, templates)), ...(await createBalancer(aws, templates, declared)) };
  await createTables(aws, templates, outputs);
  await createScaling(aws, templates);
  const data = (await readData(aws, declared, outputs)).data ?? {};
  const balancer = (await readLoadBalancer(aws, declared, outputs)).load_balancer ?? {};
  return {
    data: {
      time_to_live_attribute: data.time_to_live_attribute,
      point_in_time_recovery: data.point_in_time_recovery,
      encryption: data.encryption,
    },
    load_balancer: { idle_timeout_seconds: balancer.idle_timeout_seconds, firewall: await firewallOf(aws, outputs) },
    ...(await readScaling(aws, declared)),
  };
}

/** The only resource of a type. */
function only(templates: Templates, kind: keyof Templates, type: string): Row {
  const [found] = resources(templates[kind], type);
  if (found === undefined) throw new Error(`there is no ${type}`);
  return found[1].Properties;
}

/** References to other resources are names here: moto looks none of them up. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const keys = Object.keys(value);
  if (keys.length === 1 && (keys[0] === 'Ref' || keys[0]?.startsWith('Fn::'))) return 'reference';
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, plain(child)]));
}

async function createKey(aws: Aws, templates: Templates): Promise<Outputs> {
  const { KeyMetadata } = (await aws.call('kms', 'create_key')) as { KeyMetadata: Row };
  const KeyId = String(KeyMetadata['KeyId']);
  await aws.call('kms', 'enable_key_rotation', { KeyId });
  await aws.call('kms', 'create_alias', { AliasName: only(templates, 'data', 'AWS::KMS::Alias')['AliasName'], TargetKeyId: KeyId });
  return { key_arn: String(KeyMetadata['Arn']) };
}

async function createTables(aws: Aws, templates: Templates, outputs: Outputs): Promise<void> {
  for (const [, { Properties: table }] of resources(templates.data, 'AWS::DynamoDB::Table')) {
    const { TableName, AttributeDefinitions, KeySchema, BillingMode, DeletionProtectionEnabled } = table;
    const sse = table['SSESpecification'] as Row;
    await aws.call('dynamodb', 'create_table', {
      TableName, AttributeDefinitions, KeySchema, BillingMode, DeletionProtectionEnabled,
      SSESpecification: { Enabled: sse['SSEEnabled'], SSEType: sse['SSEType'], KMSMasterKeyId: outputs['key_arn'] },
    });
    await aws.call('dynamodb', 'update_time_to_live', { TableName, TimeToLiveSpecification: table['TimeToLiveSpecification'] });
    await aws.call('dynamodb', 'update_continuous_backups', {
      TableName, PointInTimeRecoverySpecification: table['PointInTimeRecoverySpecification'],
    });
  }
}

async function createBalancer(aws: Aws, templates: Templates, declared: Declared): Promise<Outputs> {
  const first = (answer: Answer, list: string) => ((answer[list] as Row[])[0] ?? {});
  const { Subnets } = (await aws.call('ec2', 'describe_subnets')) as { Subnets: Row[] };
  const properties = only(templates, 'service', 'AWS::ElasticLoadBalancingV2::LoadBalancer');
  const created = await aws.call('elbv2', 'create_load_balancer', {
    Name: properties['Name'], Scheme: properties['Scheme'], Type: properties['Type'],
    Subnets: Subnets.slice(0, 2).map(({ SubnetId }) => SubnetId),
  });
  const LoadBalancerArn = String(first(created, 'LoadBalancers')['LoadBalancerArn']);
  const Attributes = (properties['LoadBalancerAttributes'] as Row[]).filter(({ Key }) => !String(Key).startsWith('access_logs'));
  await aws.call('elbv2', 'modify_load_balancer_attributes', { LoadBalancerArn, Attributes });
  await createFirewall(aws, templates, declared, LoadBalancerArn);
  return { load_balancer_arn: LoadBalancerArn };
}

async function createFirewall(aws: Aws, templates: Templates, declared: Declared, ResourceArn: string): Promise<void> {
  if (declared.load_balancer.firewall === null) return;
  const { Tags: _, ...acl } = only(templates, 'service', 'AWS::WAFv2::WebACL');
  const created = (await aws.call('wafv2', 'create_web_acl', acl)) as { Summary: Row };
  await aws.call('wafv2', 'associate_web_acl', { WebACLArn: created.Summary['ARN'], ResourceArn });
}

async function firewallOf(aws: Aws, outputs: Outputs): Promise<string | null> {
  const answer = await aws.call('wafv2', 'get_web_acl_for_resource', { ResourceArn: outputs['load_balancer_arn'] });
  return ((answer['WebACL'] as Row | undefined)?.['Name'] as string | undefined) ?? null;
}

async function createScaling(aws: Aws, templates: Templates): Promise<void> {
  const { Tags: __, ...target } = only(templates, 'service', 'AWS::ApplicationAutoScaling::ScalableTarget');
  await aws.call('ecs', 'create_cluster', { clusterName: String(target['ResourceId']).split('/')[1] });
  await aws.call('ecs', 'register_task_definition', { family: 'any', containerDefinitions: [{ name: 'any', image: 'any', memory: 1 }] });
  const [, cluster, serviceName] = String(target['ResourceId']).split('/');
  await aws.call('ecs', 'create_service', { cluster, serviceName, taskDefinition: 'any', desiredCount: 0 });
  await aws.call('application-autoscaling', 'register_scalable_target', target);
  for (const [, { Properties }] of resources(templates.service, 'AWS::ApplicationAutoScaling::ScalingPolicy')) {
    const { ScalingTargetId: _, PolicyName, PolicyType, TargetTrackingScalingPolicyConfiguration } = Properties;
    const { ServiceNamespace, ResourceId, ScalableDimension } = target;
    await aws.call('application-autoscaling', 'put_scaling_policy', {
      ServiceNamespace, ResourceId, ScalableDimension, PolicyName, PolicyType,
      TargetTrackingScalingPolicyConfiguration: plain(TargetTrackingScalingPolicyConfiguration),
    });
  }
}
