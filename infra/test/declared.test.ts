// `declared.json`: its schema, its agreement with the templates, and the document that is made from it.

import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { ENVIRONMENTS } from '../config/index.ts';
import { Declared, declaredJsonSchema } from '../lib/declared.ts';
import { gatewayReference, parseReference } from '../lib/gateway-reference.ts';
import { ladder, misorders, RULES } from '../lib/ladder.ts';
import { build, buildChanged, built, resources } from './support/templates.ts';
import { environment } from '../config/index.ts';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

describe('the contract with readers in other languages', () => {
  it('is in declared.schema.json', async () => {
    await expect(`${JSON.stringify(declaredJsonSchema(), null, 2)}\n`).toMatchFileSnapshot(path('../declared.schema.json'));
  });

  it.each(Object.keys(ENVIRONMENTS))('is kept by %s', (name) => {
    expect(Declared.safeParse(JSON.parse(JSON.stringify(built(name).declared))).error).toBeUndefined();
  });
});

describe.each(Object.keys(ENVIRONMENTS))('what %s declares', (name) => {
  const { declared, templates } = built(name);

  it('refers to outputs that exist', () => {
    for (const [logical, { stack, key }] of Object.entries(declared.outputs)) {
      const kind = declared.account.stacks.find((candidate) => candidate.name === stack)?.kind;
      expect(kind, logical).toBeDefined();
      expect(Object.keys(templates[kind ?? 'service'].Outputs ?? {}), logical).toContain(key);
    }
  });

  it('has every alarm of the templates, and no other', () => {
    const inTemplates = (['service', 'observability'] as const).flatMap((kind) =>
      resources(templates[kind], 'AWS::CloudWatch::Alarm').map(([, { Properties }]) => Properties['AlarmName']),
    );
    expect([...inTemplates].sort()).toEqual([...declared.service.deployment_alarms, ...declared.signals.alarms].sort());
  });

  it('has every plain setting and secret of the task definition', () => {
    const [definition] = resources(templates.service, 'AWS::ECS::TaskDefinition');
    const [container] = definition?.[1].Properties['ContainerDefinitions'] as [{ Environment: { Name: string }[]; Secrets: { Name: string }[] }];
    expect(container.Environment.map(({ Name }) => Name)).toEqual(Object.keys(declared.task_definition.environment));
    expect(container.Secrets.map(({ Name }) => Name)).toEqual(declared.task_definition.secrets.map(({ setting }) => setting));
  });

  it('publishes the shape of a task as the template has it', () => {
    const [definition] = resources(templates.service, 'AWS::ECS::TaskDefinition');
    const shape = published(templates.service.Outputs?.['TaskDefinitionShape']?.Value);
    expect(shape).toMatchObject({
      family: declared.task_definition.family,
      cpu: declared.task_definition.cpu,
      memory: declared.task_definition.memory,
      networkMode: 'awsvpc',
      requiresCompatibilities: ['FARGATE'],
    });
    const [container] = shape['containerDefinitions'] as Record<string, unknown>[];
    const [inTemplate] = definition?.[1].Properties['ContainerDefinitions'] as Record<string, unknown>[];
    const spelled = Object.keys(inTemplate ?? {}).map((key) => key.charAt(0).toLowerCase() + key.slice(1));
    expect(Object.keys(container ?? {}).sort()).toEqual(spelled.sort());
    expect(container).toMatchObject({ stopTimeout: 120, readonlyRootFilesystem: true, user: '65532:65532' });
    expect(String(container?.['image'])).toMatch(/@\?$/);
  });

  it('publishes a shape that fits into an output', () => {
    expect(JSON.stringify(templates.service.Outputs?.['TaskDefinitionShape']?.Value).length).toBeLessThan(4096);
  });
});

/** An output of joined parts; what CloudFormation fills in becomes `?`. */
function published(value: unknown): Record<string, unknown> {
  const [, parts] = (value as { 'Fn::Join': [string, unknown[]] })['Fn::Join'];
  return JSON.parse(parts.map((part) => (typeof part === 'string' ? part : '?')).join('')) as Record<string, unknown>;
}

describe('a change of the configuration reaches template and declaration alike:', () => {
  it.each([
    ['idle timeout', { timeouts: { idleTimeoutSeconds: 240 } }, 'LoadBalancer', /"idle_timeout.timeout_seconds","Value":"240"/, '"idle_timeout_seconds":240'],
    ['stickiness', { timeouts: { stickinessSeconds: 60 } }, 'TargetGroup', /"stickiness.lb_cookie.duration_seconds","Value":"60"/, '"stickiness_seconds":60'],
    ['memory', { task: { memoryMiB: 2048 } }, 'TaskDefinition', /"Memory":"2048"/, '"memory":"2048"'],
    ['egress', { network: { egressPorts: [443, 8443] } }, 'SecurityGroup', /"FromPort":8443/, '"egress_ports":[443,8443]'],
    ['rotation', { gateway: { rotateSessionSecret: true } }, 'TaskDefinition', /::AWSPREVIOUS:/, '"version_stage":"AWSPREVIOUS"'],
    ['a setting', { gateway: { settings: { LOG_LEVEL: 'debug' } } }, 'TaskDefinition', /"Name":"LOG_LEVEL","Value":"debug"/, '"LOG_LEVEL":"debug"'],
  ] as const)('%s', (_, changes, type, inTemplate, inDeclared) => {
    const { templates, declared } = buildChanged('staging', changes as never);
    const found = Object.values(templates.service.Resources).filter((resource) => resource.Type.endsWith(`::${type}`));
    expect(JSON.stringify(found)).toMatch(inTemplate);
    expect(JSON.stringify(declared)).toContain(inDeclared);
  });

  it('an existing VPC, an existing certificate and external DNS create none of their own', () => {
    const subnets = ['subnet-00000001', 'subnet-00000002'];
    const { templates } = buildChanged('staging', {
      network: { vpc: { kind: 'existing', id: 'vpc-00000001', publicSubnetIds: subnets, taskSubnetIds: ['subnet-00000003', 'subnet-00000004'] } },
      domain: {
        certificate: { kind: 'existing', arn: 'arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000', names: ['*.staging.example.com'] },
        dns: { kind: 'external' },
      },
    } as never);
    for (const type of ['AWS::EC2::VPC', 'AWS::EC2::Subnet', 'AWS::CertificateManager::Certificate', 'AWS::Route53::RecordSet']) {
      expect(resources(templates.service, type), type).toEqual([]);
    }
    expect(JSON.stringify(resources(templates.service, 'AWS::ElasticLoadBalancingV2::LoadBalancer'))).toContain(JSON.stringify(subnets));
    expect(JSON.stringify(resources(templates.service, 'AWS::ECS::Service'))).toContain('"subnet-00000003"');
  });

  it('without a repository there is no way in from GitHub', () => {
    const { github: _, ...config } = environment('staging');
    const { templates, declared } = build({ ...config, github: undefined });
    expect(templates.pipeline.Resources).toEqual({});
    expect(declared.secrets.deploy_role).toBeNull();
  });
});

describe('the timeout ladder', () => {
  const reference = gatewayReference();

  it.each(Object.keys(ENVIRONMENTS))('of %s is in order', (name) => {
    expect(misorders(ladder(environment(name), reference))).toEqual([]);
  });

  it.each(RULES)('$lower below $upper can be broken: $why', (rule) => {
    const rungs = ladder(environment('production'), reference).map((rung) =>
      rung.name === rule.upper ? { ...rung, seconds: rungSeconds(rule.lower) * rule.times - (rule.orEqual ? 0.001 : 0) } : rung,
    );
    expect(misorders(rungs).map(({ what }) => what).join()).toContain(rule.why);
  });

  function rungSeconds(name: string): number {
    return ladder(environment('production'), reference).find((rung) => rung.name === name)?.seconds ?? 0;
  }
});

describe('the reference of the gateway', () => {
  it('is read with defaults, bounds and secrets', () => {
    const reference = parseReference('| Variable | Value | Default | Meaning |\n| --- | --- | --- | --- |\n| `A_MS` | milliseconds from 10 to 20 | `15` | Short. |\n| `B` | text | none | Secret: never printed. |\n');
    expect([...reference.values()]).toEqual([
      { name: 'A_MS', value: 'milliseconds from 10 to 20', fallback: '15', range: [10, 20], secret: false },
      { name: 'B', value: 'text', fallback: undefined, range: undefined, secret: true },
    ]);
  });

  it('is not silently empty', () => {
    expect(() => parseReference('# Configuration\n')).toThrow('has no table of settings');
  });

  it('knows every setting that the stacks set', () => {
    const known = gatewayReference();
    const set = Object.keys(ENVIRONMENTS).flatMap((name) => {
      const { environment: plain, secrets } = built(name).declared.task_definition;
      return [...Object.keys(plain), ...secrets.map(({ setting }) => setting)];
    });
    const unknown = [...new Set(set)].filter((name) => !known.has(name) && !name.startsWith('AWS_'));
    expect(unknown).toEqual([]);
  });
});
