// Rules as code: what public packs and our own find in every environment, and that our own can find something.

import { App, Stack, type CfnResource } from 'aws-cdk-lib';
import { CfnService, CfnTaskDefinition } from 'aws-cdk-lib/aws-ecs';
import { CfnListener, CfnLoadBalancer, CfnTargetGroup } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { AwsSolutionsChecks } from 'cdk-nag';
import { describe, expect, it } from 'vitest';

import { ENVIRONMENTS } from '../config/index.ts';
import { gatewayReference } from '../lib/gateway-reference.ts';
import { ACKNOWLEDGEMENTS, acknowledge, below } from '../lib/rules/acknowledgements.ts';
import { GatewayChecks } from '../lib/rules/gateway-checks.ts';
import { built } from './support/templates.ts';

const reference = gatewayReference();

function findings(scope: App | Stack | ReturnType<typeof built>['stage']): string[] {
  return [new AwsSolutionsChecks(scope), new GatewayChecks(scope, reference)].flatMap((pack) =>
    pack.validateScope(scope).violations.flatMap((violation) =>
      violation.violatingResources.map((resource) => `${violation.ruleName} at ${resource.constructPath}`),
    ),
  );
}

describe.each(Object.keys(ENVIRONMENTS))('%s', (name) => {
  const { stage } = built(name);
  acknowledge(stage);

  it('has no finding that was not looked at', () => {
    expect(findings(stage)).toEqual([]);
  });
});

describe('acknowledgements', () => {
  it.each(ACKNOWLEDGEMENTS)('$id at $where has a day and a reason', ({ since, reason }) => {
    expect(since).toMatch(/^20\d\d-\d\d-\d\d$/);
    expect(Number.isNaN(Date.parse(since))).toBe(false);
    expect(reason.split(' ').length).toBeGreaterThan(7);
  });

  it.each(ACKNOWLEDGEMENTS)('$id at $where is still about something', ({ where }) => {
    expect(Object.keys(ENVIRONMENTS).some((name) => below(built(name).stage, where).length > 0)).toBe(true);
  });
});

/** Breaks one property of a resource of the service stack and says what our rules find. */
function broken(type: abstract new (...parameters: never[]) => CfnResource, path: string, value: unknown): string[] {
  const resource = serviceResource(type);
  resource.addPropertyOverride(path, value);
  const found = new GatewayChecks(resource, reference).validateScope(resource).violations.map(({ ruleName }) => ruleName);
  delete (resource as unknown as { rawOverrides: Record<string, unknown> }).rawOverrides['Properties'];
  return found;
}

function serviceResource(type: abstract new (...parameters: never[]) => CfnResource): CfnResource {
  const found = built('staging').stage.service.node.findAll().filter((child) => child instanceof type);
  const resource = found.find((child) => !(child instanceof CfnListener) || child.port === 443);
  if (resource === undefined) throw new Error(`staging has no ${type.name}`);
  return resource as CfnResource;
}

describe('our own rules find', () => {
  const container = 'ContainerDefinitions.0';
  it.each([
    ['an idle timeout of a minute', CfnLoadBalancer, 'LoadBalancerAttributes', [{ Key: 'idle_timeout.timeout_seconds', Value: '59' }], 'IdleTimeout'],
    ['an idle timeout above the keep-alive of the tasks', CfnLoadBalancer, 'LoadBalancerAttributes', [{ Key: 'idle_timeout.timeout_seconds', Value: '400' }], 'IdleTimeout'],
    ['connections that end by age', CfnLoadBalancer, 'LoadBalancerAttributes', [{ Key: 'client_keep_alive.seconds', Value: '3600' }], 'ConnectionAge'],
    ['headers that are none', CfnLoadBalancer, 'LoadBalancerAttributes', [], 'InvalidHeaders'],
    ['a default action of 404', CfnListener, 'DefaultActions', [{ Type: 'fixed-response', FixedResponseConfig: { StatusCode: '404' } }], 'DefaultAction'],
    ['an old TLS policy', CfnListener, 'SslPolicy', 'ELBSecurityPolicy-2016-08', 'TlsPolicy'],
    ['a short deregistration delay', CfnTargetGroup, 'TargetGroupAttributes', [{ Key: 'deregistration_delay.timeout_seconds', Value: '5' }], 'Deregistration'],
    ['a stop timeout below the drain', CfnTaskDefinition, `${container}.StopTimeout`, 30, 'StopTimeout'],
    ['an image by tag', CfnTaskDefinition, `${container}.Image`, 'repository:latest', 'ImageDigest'],
    ['a writable root', CfnTaskDefinition, `${container}.ReadonlyRootFilesystem`, false, 'Confined'],
    ['root', CfnTaskDefinition, `${container}.User`, '0', 'Confined'],
    ['a secret in plain text', CfnTaskDefinition, `${container}.Environment`, [{ Name: 'SESSION_SECRET', Value: 'x' }], 'PlainSecret'],
    ['a service that names a revision', CfnService, 'TaskDefinition', 'family:3', 'Pointer'],
    ['a service with a count', CfnService, 'DesiredCount', 2, 'Pointer'],
    ['a breaker without rollback', CfnService, 'DeploymentConfiguration.DeploymentCircuitBreaker.Rollback', false, 'Breaker'],
    ['a deploy that stops first', CfnService, 'DeploymentConfiguration.MinimumHealthyPercent', 50, 'Replacement'],
  ] as const)('%s', (_, type, path, value, rule) => {
    expect(broken(type, path, value)).toContain(`Gateway-${rule}`);
  });

  it.each(['DeletionPolicy', 'UpdateReplacePolicy'])('a revision that goes by its %s', (policy) => {
    const resource = serviceResource(CfnTaskDefinition);
    for (const weaker of ['Delete', 'RetainExceptOnCreate', undefined]) {
      resource.addOverride(policy, weaker);
      const found = new GatewayChecks(resource, reference).validateScope(resource).violations.map(({ ruleName }) => ruleName);
      expect(found, weaker).toContain('Gateway-RetainedRevisions');
    }
    delete (resource as unknown as { rawOverrides: Record<string, unknown> }).rawOverrides[policy];
  });

  it('nothing in the resources as they are', () => {
    for (const type of [CfnLoadBalancer, CfnListener, CfnTargetGroup, CfnTaskDefinition, CfnService]) {
      const resource = serviceResource(type);
      expect(new GatewayChecks(resource, reference).validateScope(resource).violations).toEqual([]);
    }
  });
});
