// Combinations that pass the schema and would still hurt people; each refusal names its fix.

import type { GatewayReference } from '../lib/gateway-reference.ts';
import { ladder, misorders } from '../lib/ladder.ts';
import { OWNED_SETTINGS } from '../lib/settings.ts';
import type { Config } from './schema.ts';

/** Why a configuration is refused, and what to change. */
export interface Refusal {
  readonly what: string;
  readonly fix: string;
}

/** Memory sizes in MiB that Fargate offers for a number of CPU units: first, last, step. */
const FARGATE_MEMORY: ReadonlyMap<number, readonly [number, number, number]> = new Map([
  [256, [512, 2048, 512]],
  [512, [1024, 4096, 1024]],
  [1024, [2048, 8192, 1024]],
  [2048, [4096, 16_384, 1024]],
  [4096, [8192, 30_720, 1024]],
  [8192, [16_384, 61_440, 4096]],
  [16_384, [32_768, 122_880, 8192]],
]);

/** Every refusal at once. */
export function unsafe(config: Config, reference: GatewayReference): Refusal[] {
  return [
    ...settings(config, reference),
    ...misorders(knownLadder(config, reference)),
    ...certificate(config),
    ...place(config),
    ...size(config),
    ...production(config),
    ...emulated(config),
  ];
}

/** Settings that the gateway does not know are refused on their own; the ladder is read without them. */
function knownLadder(config: Config, reference: GatewayReference) {
  const known = Object.entries(config.gateway.settings).filter(([name]) => reference.has(name));
  return ladder({ ...config, gateway: { ...config.gateway, settings: Object.fromEntries(known) } }, reference);
}

function settings(config: Config, reference: GatewayReference): Refusal[] {
  const refusals: Refusal[] = [];
  const refuse = (what: string, fix: string) => refusals.push({ what, fix });
  for (const [name, value] of Object.entries(config.gateway.settings)) {
    const setting = reference.get(name);
    if (setting === undefined) {
      refuse(`\`gateway.settings.${name}\` is no setting of this gateway`, 'take a name from `docs/reference/configuration.md`');
    } else if (OWNED_SETTINGS.has(name)) {
      refuse(`\`gateway.settings.${name}\` is set by the stacks`, 'remove it; it follows from the rest of the configuration');
    } else if (setting.secret) {
      refuse(`\`gateway.settings.${name}\` is a secret in plain text`, 'put it into Secrets Manager and refer to it');
    } else if (setting.range && !within(Number(value), setting.range)) {
      const [least, most] = setting.range;
      refuse(`\`gateway.settings.${name}\` is \`${value}\``, `give a number from ${least} to ${most}`);
    }
  }
  const promised = { ADMINS: config.gateway.admins.length > 0, UPSTREAMS: config.gateway.upstreamsFile !== undefined };
  for (const [name, wanted] of Object.entries(promised)) {
    if (wanted && !reference.has(name)) {
      refuse(`\`${name === 'ADMINS' ? 'gateway.admins' : 'gateway.upstreamsFile'}\` is set, but this gateway has no setting \`${name}\``,
        'remove it, or deploy a gateway whose reference has it');
    }
  }
  return refusals;
}

function within(value: number, [least, most]: readonly [number, number]): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}

function certificate(config: Config): Refusal[] {
  const { host, certificate, dns } = config.domain;
  const refusals: Refusal[] = [];
  if (certificate.kind === 'existing' && !certificate.names.some((name) => covers(name, host))) {
    refusals.push({
      what: `\`domain.certificate.names\` (${certificate.names.join(', ')}) do not cover \`${host}\`: every client would refuse the connection`,
      fix: `use a certificate for \`${host}\`, or \`{ kind: 'new' }\``,
    });
  }
  if (certificate.kind === 'existing' && certificate.arn.split(':')[3] !== config.region) {
    refusals.push({
      what: `\`domain.certificate.arn\` is in ${certificate.arn.split(':')[3]}, the load balancer in ${config.region}`,
      fix: `use a certificate of ${config.region}`,
    });
  }
  if (certificate.kind === 'new' && dns.kind === 'external') {
    refusals.push({
      what: 'a new certificate waits for a DNS record that `domain.dns` does not create: the deploy would hang',
      fix: "give a hosted zone, or `domain.certificate: { kind: 'existing', ... }`",
    });
  }
  if (dns.kind === 'hosted-zone' && host !== dns.zoneName && !host.endsWith(`.${dns.zoneName}`)) {
    refusals.push({ what: `\`${host}\` is not in the zone \`${dns.zoneName}\``, fix: 'give the hosted zone of the host' });
  }
  return refusals;
}

/** A wildcard stands for exactly one label. */
export function covers(name: string, host: string): boolean {
  return name === host || (name.startsWith('*.') && host.slice(host.indexOf('.')) === name.slice(1));
}

function place(config: Config): Refusal[] {
  const { vpc, zones, scheme, egressPorts } = config.network;
  const refusals: Refusal[] = [];
  const strangers = zones.filter((zone) => !new RegExp(`^${config.region}[a-z]$`).test(zone));
  if (strangers.length > 0) {
    refusals.push({ what: `the zones ${strangers.join(', ')} are not in ${config.region}`, fix: 'name zones of `region`' });
  }
  if (new Set(zones).size !== zones.length) {
    refusals.push({ what: '`network.zones` names a zone twice: a task in the same zone is no second one', fix: 'name two different zones' });
  }
  if (vpc.kind === 'existing' && [vpc.publicSubnetIds, vpc.taskSubnetIds].some((ids) => ids.length !== zones.length)) {
    refusals.push({ what: '`network.vpc` has another number of subnets than of zones', fix: 'give one subnet per zone, in the order of `network.zones`' });
  }
  if (scheme === 'internal' && vpc.kind === 'new-public') {
    refusals.push({ what: 'an internal load balancer in a VPC of public subnets only is reached by nobody', fix: "use a VPC that the VPN reaches: `vpc: { kind: 'existing', ... }`" });
  }
  if (vpc.kind === 'new-private' && vpc.natGateways > zones.length) {
    refusals.push({ what: 'there are more NAT gateways than zones', fix: `set \`network.vpc.natGateways\` to ${zones.length} or less` });
  }
  if (!egressPorts.includes(443)) {
    refusals.push({ what: '`network.egressPorts` lacks 443: tasks reach neither Google nor AWS', fix: 'add 443' });
  }
  return refusals;
}

function size(config: Config): Refusal[] {
  const { cpuUnits, memoryMiB } = config.task;
  const { minTasks, maxTasks } = config.scaling;
  const refusals: Refusal[] = [];
  const offer = FARGATE_MEMORY.get(cpuUnits);
  if (offer === undefined) {
    refusals.push({ what: `Fargate has no task with ${cpuUnits} CPU units`, fix: `use one of ${[...FARGATE_MEMORY.keys()].join(', ')}` });
  } else if (memoryMiB < offer[0] || memoryMiB > offer[1] || memoryMiB % offer[2] !== 0) {
    refusals.push({ what: `Fargate has no ${memoryMiB} MiB beside ${cpuUnits} CPU units`, fix: `use ${offer[0]} to ${offer[1]} in steps of ${offer[2]}` });
  }
  if (maxTasks < minTasks) {
    refusals.push({ what: `\`scaling.maxTasks\` is ${maxTasks}, below \`scaling.minTasks\` of ${minTasks}`, fix: `set it to ${minTasks} or more` });
  }
  return refusals;
}

function production(config: Config): Refusal[] {
  if (config.environment !== 'production') return [];
  const refusals: Refusal[] = [];
  if (config.scaling.minTasks < 2) {
    refusals.push({ what: 'production with one task has a gap in every deploy and every crash', fix: 'set `scaling.minTasks` to 2 or more' });
  }
  if (!config.protection.deletion) {
    refusals.push({ what: 'production without `protection.deletion` loses every login by one wrong command', fix: 'leave it on' });
  }
  if (!config.retention.accessLogs) {
    refusals.push({ what: 'production without access logs cannot explain a 502', fix: 'leave `retention.accessLogs` on' });
  }
  if (config.alarms.emails.length === 0) {
    refusals.push({ what: 'the alarms of production reach nobody', fix: 'add an address to `alarms.emails`' });
  }
  return refusals;
}

function emulated(config: Config): Refusal[] {
  const local = config.environment === 'local';
  if (local === (config.emulated !== undefined)) return [];
  return [
    local
      ? { what: '`local` has no `emulated`: it would be deployed into an account', fix: 'name the emulators' }
      : { what: `\`emulated\` puts static keys into the tasks of \`${config.environment}\``, fix: 'remove it; only `local` runs on emulators' },
  ];
}
