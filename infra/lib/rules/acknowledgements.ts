// Findings of public rule packs that we looked at and leave as they are, each with the day and the reason.

import { Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

import type { EnvironmentStage } from '../environment.ts';

interface Acknowledgement {
  /** The rule, with its finding where it has several. */
  readonly id: string;
  /** The stack, and the start of the path below it. */
  readonly where: string;
  /** The day of the decision. */
  readonly since: string;
  readonly reason: string;
}

/** Nothing is acknowledged for a whole app: a new resource is looked at anew. */
export const ACKNOWLEDGEMENTS: readonly Acknowledgement[] = [
  {
    id: 'AwsSolutions-SMG4',
    where: 'data/Secrets/Session/Resource',
    since: '2026-11-27',
    reason: 'Rotation has to overlap, because every key is derived from the secret: `gateway.rotateSessionSecret` does it in two deploys',
  },
  {
    id: 'AwsSolutions-SMG4',
    where: 'data/Secrets/Google',
    since: '2026-11-27',
    reason: 'Google issues the secret of an OAuth client in its console only, so nothing here can rotate it',
  },
  {
    id: 'AwsSolutions-S1',
    where: 'data/TrafficLogs/Bucket/Resource',
    since: '2026-11-27',
    reason: 'It is the bucket of logs itself: it would log its own writes for ever',
  },
  {
    id: 'AwsSolutions-EC23',
    where: 'service/Network/LoadBalancerGroup/Resource',
    since: '2026-11-27',
    reason: 'Clients are anywhere; `network.ingressCidrs` narrows it, and every request but the login needs a token',
  },
  {
    id: 'AwsSolutions-ECS2',
    where: 'service/Task/Definition/Resource',
    since: '2026-11-27',
    reason: 'Plain settings are names and URLs; secrets are references, which the rule Gateway-PlainSecret checks',
  },
  {
    id: 'AwsSolutions-IAM5[Resource::*]',
    where: 'service/Roles/Execution/DefaultPolicy/Resource',
    since: '2026-11-27',
    reason: 'ecr:GetAuthorizationToken knows no resource; a test holds that it is the only action there',
  },
  {
    id: 'AwsSolutions-IAM5[Resource::*]',
    where: 'pipeline/GitHub/Push/DefaultPolicy/Resource',
    since: '2026-11-27',
    reason: 'ecr:GetAuthorizationToken knows no resource; a test holds that it is the only action there',
  },
  {
    id: 'AwsSolutions-IAM5[Resource::*]',
    where: 'pipeline/GitHub/Plan/DefaultPolicy/Resource',
    since: '2026-11-27',
    reason: 'Describe and List know no single resource; none of the actions returns a row, a log line or a secret',
  },
  {
    id: 'AwsSolutions-IAM5[Resource::*]',
    where: 'pipeline/GitHub/Deploy/DefaultPolicy/Resource',
    since: '2026-11-27',
    reason: 'Describe, List and DeregisterTaskDefinition know no single resource; none returns a row, a log line or a secret',
  },
  {
    id: 'AwsSolutions-IAM5[Resource::arn:aws:ssm:{region}:<AWS::AccountId>:parameter/mcp-gateway/{environment}/*]',
    where: 'pipeline/GitHub/Plan/DefaultPolicy/Resource',
    since: '2026-11-27',
    reason: 'The ledger, the lock and the digest of this environment, and nothing else in it',
  },
  ...deployWildcards(
    ['ecs', 'service-deployment', 'mcp-gateway-{environment}/mcp-gateway-{environment}/*', 'ECS names each deployment itself; the service before it is fixed'],
    ['ecs', 'service-revision', 'mcp-gateway-{environment}/mcp-gateway-{environment}/*', 'ECS names each revision itself; the service before it is fixed'],
    ['ecs', 'task-definition', 'mcp-gateway-{environment}:*', 'ECS counts revisions itself; the family before it is fixed'],
    ['logs', 'log-group:/mcp-gateway', '{environment}:*', 'Tasks name their log streams; the log group before it is fixed'],
    ['ssm', 'parameter', 'mcp-gateway/{environment}/*', 'The ledger, the lock and the digest of this environment, and nothing else in it'],
  ),
];

/** The names that AWS makes below a resource of ours. */
function deployWildcards(...rows: [service: string, kind: string, name: string, reason: string][]): Acknowledgement[] {
  return rows.map(([service, kind, name, reason]) => ({
    id: `AwsSolutions-IAM5[Resource::arn:aws:${service}:{region}:<AWS::AccountId>:${kind}/${name}]`,
    where: 'pipeline/GitHub/Deploy/DefaultPolicy/Resource',
    since: '2026-11-27',
    reason,
  }));
}

/** Writes them into the construct tree, where rule packs look. */
export function acknowledge(stage: EnvironmentStage): void {
  const { environment, region } = stage.config;
  for (const { id, where, since, reason } of ACKNOWLEDGEMENTS) {
    const rule = id.replaceAll('{environment}', environment).replaceAll('{region}', region);
    for (const construct of below(stage, where)) {
      Validations.of(construct).acknowledge({ id: rule, reason: `${since}: ${reason}` });
    }
  }
}

/** An environment may lack the construct: without a firewall there is nothing to acknowledge. */
export function below(stage: EnvironmentStage, where: string): IConstruct[] {
  const path = `${stage.node.path}/${where}`;
  return stage.node.findAll().filter((construct) => construct.node.path === path);
}
