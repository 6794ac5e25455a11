// Our own rules, for what no public rule pack looks at: each is about a failure that happened to somebody.

import { CfnResource, Stack } from 'aws-cdk-lib';
import { CfnService, CfnTaskDefinition } from 'aws-cdk-lib/aws-ecs';
import { CfnRepository } from 'aws-cdk-lib/aws-ecr';
import { CfnListener, CfnLoadBalancer, CfnTargetGroup } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { CfnPolicy } from 'aws-cdk-lib/aws-iam';
import { CfnLogGroup } from 'aws-cdk-lib/aws-logs';
import { NagMessageLevel, NagPack, NagRuleCompliance, type NagRuleResult } from 'cdk-nag';
import type { IConstruct } from 'constructs';

import { effectiveSeconds, type GatewayReference } from '../gateway-reference.ts';

interface Rule {
  readonly id: string;
  readonly info: string;
  readonly explanation: string;
  readonly check: (node: CfnResource, reference: GatewayReference) => NagRuleResult;
}

/** Run at every synth, and by the tests. */
export class GatewayChecks extends NagPack {
  readonly name = 'GatewayChecks';
  override readonly ruleIds = RULES.map(({ id }) => `Gateway-${id}`);
  private readonly reference: GatewayReference;

  constructor(scope: IConstruct, reference: GatewayReference) {
    super(scope, { verbose: true });
    this.packName = 'Gateway';
    this.reference = reference;
  }

  protected override checkResource(node: CfnResource): void {
    for (const { id, info, explanation, check } of RULES) {
      this.applyRule({
        ruleSuffixOverride: id,
        info,
        explanation,
        level: NagMessageLevel.ERROR,
        node,
        rule: (resource) => check(resource, this.reference),
      });
    }
  }
}

type Properties = Record<string, unknown>;

/** The properties as the template will have them, overrides of a construct's user included. */
function properties(node: CfnResource): Properties {
  const rendered = Stack.of(node).resolve((node as unknown as { _toCloudFormation(): unknown })._toCloudFormation()) as {
    Resources: Record<string, { Properties?: Properties; DeletionPolicy?: string; UpdateReplacePolicy?: string }>;
  };
  const [resource] = Object.values(rendered.Resources);
  return { ...resource?.Properties, '.DeletionPolicy': resource?.DeletionPolicy, '.UpdateReplacePolicy': resource?.UpdateReplacePolicy };
}

function when<T extends CfnResource>(
  type: abstract new (...parameters: never[]) => T,
  holds: (found: Properties, node: T, reference: GatewayReference) => boolean,
): Rule['check'] {
  return (node, reference) => {
    if (!(node instanceof type)) return NagRuleCompliance.NOT_APPLICABLE;
    return holds(properties(node), node, reference) ? NagRuleCompliance.COMPLIANT : NagRuleCompliance.NON_COMPLIANT;
  };
}

const attribute = (list: unknown, key: string): string | undefined =>
  (list as { Key: string; Value: string }[] | undefined)?.find((entry) => entry.Key === key)?.Value;

const containers = (found: Properties) => (found['ContainerDefinitions'] ?? []) as Properties[];

/** What a task of this stack works with: its environment, or else the default of the gateway. */
function taskSeconds(node: CfnResource, reference: GatewayReference, name: string): number {
  const definitions = Stack.of(node).node.findAll().filter((child) => child instanceof CfnTaskDefinition);
  const environment = definitions.flatMap((definition) =>
    containers(properties(definition)).flatMap((container) => (container['Environment'] ?? []) as { Name: string; Value: string }[]),
  );
  const settings = Object.fromEntries(environment.map(({ Name, Value }) => [Name, Value]));
  return effectiveSeconds(reference, settings, name);
}

const SECRET_NAME = /SECRET|PASSWORD|TOKEN$|PRIVATE|CREDENTIAL|API_KEY/;

/** The dummy key of the emulators, which no account accepts. */
const EMULATED = 'emulated';

/** An image by digest: a text that ends in one, or a join whose `@` is followed by the parameter of the digest. */
function byDigest(image: unknown): boolean {
  if (typeof image === 'string') return /@sha256:[0-9a-f]{64}$/.test(image);
  const parts = (image as { 'Fn::Join'?: [string, unknown[]] } | undefined)?.['Fn::Join']?.[1] ?? [];
  const digest = parts.at(-1) as { Ref?: string } | undefined;
  return String(parts.at(-2)).endsWith('@') && digest?.Ref === 'ImageDigest';
}

const RULES: readonly Rule[] = [
  {
    id: 'IdleTimeout',
    info: 'The idle timeout of the load balancer does not fit the gateway.',
    explanation: 'Below four comments it cuts idle streams; from the keep-alive of the tasks on it reuses dying connections and answers 502.',
    check: when(CfnLoadBalancer, (found, node, reference) => {
      const idle = Number(attribute(found['LoadBalancerAttributes'], 'idle_timeout.timeout_seconds'));
      const comment = taskSeconds(node, reference, 'SSE_KEEPALIVE_INTERVAL');
      return idle >= comment * 4 && idle < taskSeconds(node, reference, 'KEEP_ALIVE_TIMEOUT');
    }),
  },
  {
    id: 'ConnectionAge',
    info: 'The load balancer ends connections by their age.',
    explanation: 'Streams have no age limit; without the attribute a connection ends after an hour.',
    check: when(CfnLoadBalancer, (found) => Number(attribute(found['LoadBalancerAttributes'], 'client_keep_alive.seconds')) >= 86_400),
  },
  {
    id: 'InvalidHeaders',
    info: 'The load balancer passes on headers that are no headers.',
    explanation: 'Two readers that disagree about a header are how requests are smuggled.',
    check: when(CfnLoadBalancer, (found) => attribute(found['LoadBalancerAttributes'], 'routing.http.drop_invalid_header_fields.enabled') === 'true'),
  },
  {
    id: 'DefaultAction',
    info: 'The listener of 443 serves strangers, or tells them 404.',
    explanation: 'Only the configured host is forwarded, by a rule. MCP clients take a 404 for the end of their session.',
    check: when(CfnListener, (found) => {
      const [action] = found['DefaultActions'] as { Type: string; FixedResponseConfig?: { StatusCode: string } }[];
      return found['Port'] !== 443 || (action?.Type === 'fixed-response' && action.FixedResponseConfig?.StatusCode === '503');
    }),
  },
  {
    id: 'TlsPolicy',
    info: 'The listener accepts TLS below 1.2, or ciphers without forward secrecy.',
    explanation: 'Policies named TLS13-1-2-Res or TLS13-1-3 do not.',
    check: when(CfnListener, (found) => found['Protocol'] !== 'HTTPS' || /^ELBSecurityPolicy-TLS13-1-(2-Res|3)/.test(String(found['SslPolicy']))),
  },
  {
    id: 'Deregistration',
    info: 'A leaving task is cut before its calls may end.',
    explanation: 'The deregistration delay must not be below the budget of a call.',
    check: when(CfnTargetGroup, (found, node, reference) => {
      const delay = Number(attribute(found['TargetGroupAttributes'], 'deregistration_delay.timeout_seconds'));
      return delay >= taskSeconds(node, reference, 'REQUEST_TIMEOUT');
    }),
  },
  {
    id: 'StopTimeout',
    info: 'A task is killed while it drains.',
    explanation: 'The stop timeout must be above the drain deadline of the gateway, and Fargate ends at 120 s.',
    check: when(CfnTaskDefinition, (found, node, reference) =>
      containers(found).every((container) => {
        const stop = Number(container['StopTimeout']);
        return stop > taskSeconds(node, reference, 'DRAIN_TIMEOUT') && stop <= 120;
      }),
    ),
  },
  {
    id: 'ImageDigest',
    info: 'A container runs an image by tag.',
    explanation: 'A tag may mean another image at the next start of a task; a digest cannot.',
    check: when(CfnTaskDefinition, (found) => containers(found).every((container) => byDigest(container['Image']))),
  },
  {
    id: 'Confined',
    info: 'A container may write to its root, is root, or is privileged.',
    explanation: 'Who breaks in should find nothing to hold on to.',
    check: when(CfnTaskDefinition, (found) =>
      containers(found).every(
        (container) =>
          container['ReadonlyRootFilesystem'] === true &&
          container['Privileged'] !== true &&
          /^[1-9]\d*(:|$)/.test(String(container['User'])),
      ),
    ),
  },
  {
    id: 'PlainSecret',
    info: 'A secret is in the plain environment of a container.',
    explanation: 'Everybody who may describe a task definition reads it: refer to Secrets Manager instead.',
    check: when(CfnTaskDefinition, (found) =>
      containers(found).every((container) =>
        ((container['Environment'] ?? []) as { Name: string; Value: unknown }[]).every(
          ({ Name, Value }) => !SECRET_NAME.test(Name) || Value === EMULATED,
        ),
      ),
    ),
  },
  {
    id: 'RetainedRevisions',
    info: 'CloudFormation deregisters old revisions of the task definition.',
    explanation: 'An inactive revision cannot be rolled back to.',
    check: when(CfnTaskDefinition, (found) => found['.DeletionPolicy'] === 'Retain' && found['.UpdateReplacePolicy'] === 'Retain'),
  },
  {
    id: 'Pointer',
    info: 'CloudFormation decides which revision runs, or how many tasks.',
    explanation: 'An update of the stack would revert a release or undo scaling: the service names its family, and no count.',
    check: when(CfnService, (found) => typeof found['TaskDefinition'] === 'string' && !String(found['TaskDefinition']).includes(':') && found['DesiredCount'] === undefined),
  },
  {
    id: 'Breaker',
    info: 'A broken image is not sent back by itself.',
    explanation: 'The circuit breaker must be on, with rollback, which is off by default.',
    check: when(CfnService, (found) => {
      const deployment = found['DeploymentConfiguration'] as { DeploymentCircuitBreaker?: { Enable?: boolean; Rollback?: boolean } } | undefined;
      return deployment?.DeploymentCircuitBreaker?.Enable === true && deployment.DeploymentCircuitBreaker.Rollback === true;
    }),
  },
  {
    id: 'Replacement',
    info: 'A deploy leaves fewer tasks than before.',
    explanation: 'Healthy percent 100 and maximum 200: successors first.',
    check: when(CfnService, (found) => {
      const deployment = found['DeploymentConfiguration'] as { MinimumHealthyPercent?: number; MaximumPercent?: number } | undefined;
      return deployment?.MinimumHealthyPercent === 100 && deployment.MaximumPercent === 200;
    }),
  },
  {
    id: 'LogRetention',
    info: 'Logs are kept for ever.',
    explanation: 'They name people.',
    check: when(CfnLogGroup, (found) => typeof found['RetentionInDays'] === 'number'),
  },
  {
    id: 'ImageLifecycle',
    info: 'A lifecycle rule may expire the image of a release.',
    explanation: 'The registry does not know which images run; only images without a tag may go.',
    check: when(CfnRepository, (found) => {
      const text = (found['LifecyclePolicy'] as { LifecyclePolicyText?: string } | undefined)?.LifecyclePolicyText ?? '{"rules":[]}';
      const { rules } = JSON.parse(text) as { rules: { selection: { tagStatus: string } }[] };
      return rules.every((rule) => rule.selection.tagStatus === 'untagged');
    }),
  },
  {
    id: 'ActionWildcard',
    info: 'A policy allows actions by wildcard.',
    explanation: 'AWS adds actions every week; each would be allowed by itself.',
    check: when(CfnPolicy, (found) => {
      const document = found['PolicyDocument'] as { Statement: { Action: string | string[] }[] };
      return document.Statement.every(({ Action }) => [Action].flat().every((action) => !action.includes('*')));
    }),
  },
];
