// The configuration: what is refused and with which fix, and that every property explains itself.

import { describe, expect, it } from 'vitest';
import { z } from 'zod';

import { ENVIRONMENTS, environment } from '../config/index.ts';
import { ConfigError, load } from '../config/load.ts';
import { Config, type ConfigInput } from '../config/schema.ts';
import { covers } from '../config/unsafe.ts';
import { changed } from './support/templates.ts';

function refusals(name: string, changes: Parameters<typeof changed>[1]): string {
  try {
    load(changed(name, changes));
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return 'accepted';
}

describe('every environment', () => {
  it.each(Object.keys(ENVIRONMENTS))('%s is accepted', (name) => {
    expect(environment(name).environment).toBe(name);
  });

  it('is found by name, and an unknown one lists the others', () => {
    expect(() => environment('prod')).toThrow('there is no environment `prod`\n  hint: one of staging, production, local');
  });
});

describe('an unsafe combination is refused with its fix:', () => {
  it.each<[string, string, Parameters<typeof changed>[1], string, string]>([
    ['an idle timeout that one late comment ends', 'staging', { timeouts: { idleTimeoutSeconds: 59 } },
      'an idle stream is cut when one or two comments are late', 'set `timeouts.idleTimeoutSeconds` to at least 60 s'],
    ['an idle timeout above the keep-alive of the tasks', 'staging', { timeouts: { idleTimeoutSeconds: 350 } },
      'answers 502', 'set `KEEP_ALIVE_TIMEOUT` to more than 350 s'],
    ['a deregistration delay below the longest call', 'staging', { timeouts: { deregistrationDelaySeconds: 60 } },
      'a deploy cuts calls', 'set `timeouts.deregistrationDelaySeconds` to at least 300 s'],
    ['a stop timeout below the drain', 'staging', { timeouts: { stopTimeoutSeconds: 30 } },
      'a task is killed while it still drains', 'set `timeouts.stopTimeoutSeconds` to more than 110 s'],
    ['health checks that overlap', 'staging', { health: { intervalSeconds: 10 } },
      'health checks overlap', 'set `health.intervalSeconds` to more than 10 s'],
    ['a grace period below two checks', 'staging', { health: { graceSeconds: 20 } },
      'a starting task is killed', 'set `health.graceSeconds` to at least 30 s'],
    ['a certificate of another host', 'staging',
      { domain: { certificate: { kind: 'existing', arn: 'arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000', names: ['www.example.com', '*.example.com'] } } },
      'do not cover `mcp.staging.example.com`', 'use a certificate for `mcp.staging.example.com`'],
    ['a certificate of another region', 'staging',
      { domain: { certificate: { kind: 'existing', arn: 'arn:aws:acm:eu-west-1:123456789012:certificate/00000000-0000-0000-0000-000000000000', names: ['*.staging.example.com'] } } },
      'is in eu-west-1', 'use a certificate of us-east-1'],
    ['a new certificate without a zone', 'staging', { domain: { dns: { kind: 'external' } } }, 'the deploy would hang', 'give a hosted zone'],
    ['a zone of another domain', 'staging', { domain: { dns: { kind: 'hosted-zone', zoneId: 'Z00000000', zoneName: 'example.org' } } },
      'is not in the zone', 'give the hosted zone of the host'],
    ['zones of another region', 'staging', { network: { zones: ['eu-west-1a', 'eu-west-1b'] } }, 'are not in us-east-1', 'name zones of `region`'],
    ['the same zone twice', 'staging', { network: { zones: ['us-east-1a', 'us-east-1a'] } }, 'names a zone twice', 'name two different zones'],
    ['an internal load balancer that nobody reaches', 'staging', { network: { scheme: 'internal' } }, 'reached by nobody', 'use a VPC that the VPN reaches'],
    ['no way to Google', 'staging', { network: { egressPorts: [8443] } }, 'tasks reach neither Google nor AWS', 'add 443'],
    ['more NAT gateways than zones', 'production', { network: { vpc: { kind: 'new-private', cidr: '10.10.0.0/16', natGateways: 3 } } }, 'more NAT gateways', 'to 2 or less'],
    ['a size that Fargate lacks', 'staging', { task: { cpuUnits: 512, memoryMiB: 512 } }, 'Fargate has no 512 MiB beside 512 CPU units', 'use 1024 to 4096 in steps of 1024'],
    ['a CPU that Fargate lacks', 'staging', { task: { cpuUnits: 600 } }, 'Fargate has no task with 600 CPU units', 'use one of 256, 512'],
    ['a maximum below the minimum', 'staging', { scaling: { minTasks: 4, maxTasks: 2 } }, 'below `scaling.minTasks`', 'set it to 4 or more'],
    ['production with one task', 'production', { scaling: { minTasks: 1 } }, 'has a gap in every deploy', 'set `scaling.minTasks` to 2 or more'],
    ['production without protection', 'production', { protection: { deletion: false } }, 'loses every login', 'leave it on'],
    ['production without access logs', 'production', { retention: { accessLogs: false } }, 'cannot explain a 502', 'leave `retention.accessLogs` on'],
    ['alarms that reach nobody', 'production', { alarms: { emails: [] } }, 'reach nobody', 'add an address'],
    ['emulators in an account', 'staging', { emulated: { endpoint: 'http://127.0.0.1:4566', registry: '127.0.0.1:5001' } }, 'static keys', 'only `local` runs on emulators'],
    ['an unknown setting', 'staging', { gateway: { settings: { SSE_KEEPALIV: '1000' } } }, 'is no setting of this gateway', 'docs/reference/configuration.md'],
    ['a setting out of range', 'staging', { gateway: { settings: { SSE_KEEPALIVE_INTERVAL: '60000' } } }, 'is `60000`', 'give a number from 1000 to 30000'],
    ['a setting that the stacks own', 'staging', { gateway: { settings: { PUBLIC_URL: 'https://other.example.com' } } }, 'is set by the stacks', 'remove it'],
    ['a setting that changes the ladder', 'staging', { gateway: { settings: { DRAIN_TIMEOUT: '119000', REQUEST_TIMEOUT: '600000' } } }, 'a deploy cuts calls', '`REQUEST_TIMEOUT`'],
  ])('%s', (_, name, changes, what, fix) => {
    const message = refusals(name, changes);
    expect(message).toContain(what);
    expect(message.slice(message.indexOf(what))).toContain(fix);
  });

  it('a secret in plain text', () => {
    expect(refusals('staging', { gateway: { settings: { SESSION_SECRET: 'x'.repeat(40) } } })).toMatch(/set by the stacks|secret in plain text/);
  });

  it('all of them are reported together', () => {
    const message = refusals('production', { scaling: { minTasks: 1 }, timeouts: { stopTimeoutSeconds: 30, idleTimeoutSeconds: 30 } });
    expect(message.match(/^error: /gm)).toHaveLength(3);
    expect(message.match(/^ {2}hint: /gm)).toHaveLength(3);
  });
});

describe('shapes and bounds are refused by name:', () => {
  it.each<[Parameters<typeof changed>[1], string]>([
    [{ domain: { host: 'https://mcp.example.com' } }, '`domain.host`: must be a host name in lower case'],
    [{ scaling: { minTasks: 0 } }, '`scaling.minTasks`: must be 1 tasks or more'],
    [{ timeouts: { stopTimeoutSeconds: 121 } }, '`timeouts.stopTimeoutSeconds`: must be 120 seconds or less'],
    [{ network: { zones: ['us-east-1a'] } }, '`network.zones`'],
    [{ retention: { logDays: 8 as never } }, '`retention.logDays`: must be a number of days that CloudWatch Logs knows'],
    [{ timeout: {} } as never, 'the configuration'],
  ])('%j', (changes, message) => {
    expect(refusals('staging', changes)).toContain(message);
  });
});

describe('a certificate covers', () => {
  it.each([
    ['mcp.example.com', 'mcp.example.com', true],
    ['*.example.com', 'mcp.example.com', true],
    ['*.example.com', 'a.mcp.example.com', false],
    ['*.example.com', 'example.com', false],
    ['*.ample.com', 'mcp.example.com', false],
  ])('%s for %s: %s', (name, host, expected) => {
    expect(covers(name, host)).toBe(expected);
  });
});

interface JsonSchema {
  properties?: Record<string, JsonSchema>;
  oneOf?: JsonSchema[];
  anyOf?: JsonSchema[];
  const?: unknown;
  unit?: string;
  reason?: string;
}

/** Every property that is no group of others. */
function leaves(schema: JsonSchema, path = ''): [string, JsonSchema][] {
  const options = schema.oneOf ?? (schema.anyOf?.some((option) => option.properties) ? schema.anyOf : undefined);
  const own: [string, JsonSchema][] = path && (options || !schema.properties) ? [[path, schema]] : [];
  const nested = [...(options ?? []), schema].flatMap((part) =>
    Object.entries(part.properties ?? {}).flatMap(([key, child]) => leaves(child, path ? `${path}.${key}` : key)),
  );
  return [...own, ...nested];
}

describe('every property', () => {
  const schema = z.toJSONSchema(Config, { io: 'input' }) as JsonSchema;
  const all = leaves(schema).filter(([path, leaf]) => !path.endsWith('.kind') && leaf.const === undefined);

  it('is found by this test', () => {
    expect(all.length).toBeGreaterThan(40);
    expect(all.map(([path]) => path)).toContain('timeouts.idleTimeoutSeconds');
  });

  it.each(all)('%s has a unit and a reason', (_, leaf) => {
    expect(leaf.unit).toMatch(/\S/);
    expect(leaf.reason).toMatch(/\S+ \S+/);
  });
});

describe('staging and production', () => {
  it('differ only where it is listed here', () => {
    const differing = differences(environment('staging'), environment('production'));
    expect(differing).toEqual([
      'alarms.emails', 'domain.dns.zoneId', 'domain.dns.zoneName', 'domain.host', 'environment', 'github.createProvider', 'google.clientId',
      'network.vpc', 'protection.waf', 'retention.accessLogDays', 'retention.logDays', 'scaling.maxTasks', 'scaling.minTasks',
    ]);
  });
});

function differences(left: unknown, right: unknown, path = ''): string[] {
  const areObjects = [left, right].every((side) => typeof side === 'object' && side !== null && !Array.isArray(side));
  if (!areObjects || path === 'network.vpc') return JSON.stringify(left) === JSON.stringify(right) ? [] : [path];
  const keys = [...new Set([...Object.keys(left as object), ...Object.keys(right as object)])].sort();
  return keys.flatMap((key) =>
    differences((left as Record<string, unknown>)[key], (right as Record<string, unknown>)[key], path ? `${path}.${key}` : key),
  );
}

/** `ConfigInput` accepts what the files write: a compile-time check that the defaults are optional. */
export const minimal: Pick<ConfigInput, 'environment' | 'region'> = { environment: 'x1', region: 'us-east-1' };
