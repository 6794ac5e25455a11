// The timeout ladder: every timeout between a client and a handler, and the order that must hold between them.

import type { Config } from '../config/schema.ts';
import { effectiveSeconds, type GatewayReference } from './gateway-reference.ts';

/** One timeout: where it is set and how long it is. */
export interface Rung {
  readonly name: RungName;
  /** Who enforces it. */
  readonly layer: string;
  readonly seconds: number;
  /** The property of the environment, or the setting of the gateway, that it comes from. */
  readonly source: string;
}

/** A rule between two rungs that does not hold. */
export interface Misorder {
  readonly what: string;
  readonly fix: string;
}

type RungName =
  | 'stream comment'
  | 'slow call'
  | 'slow headers'
  | 'TCP probe'
  | 'client connection'
  | 'idle timeout'
  | 'target keep-alive'
  | 'call budget'
  | 'deregistration delay'
  | 'drain deadline'
  | 'stop timeout'
  | 'stickiness'
  | 'health interval'
  | 'health timeout'
  | 'health grace';

type Part = Pick<Config, 'timeouts' | 'health' | 'gateway'>;

/** The ladder of an environment, from the shortest layer to the longest. */
export function ladder(config: Part, reference: GatewayReference): Rung[] {
  const { timeouts, health } = config;
  const own = (name: string) => effectiveSeconds(reference, config.gateway.settings, name);
  return [
    { name: 'stream comment', layer: 'gateway', seconds: own('SSE_KEEPALIVE_INTERVAL'), source: 'SSE_KEEPALIVE_INTERVAL' },
    { name: 'slow call', layer: 'gateway', seconds: own('SLOW_AFTER'), source: 'SLOW_AFTER' },
    { name: 'slow headers', layer: 'gateway', seconds: own('HEADER_TIMEOUT'), source: 'HEADER_TIMEOUT' },
    { name: 'TCP probe', layer: 'gateway', seconds: own('TCP_KEEPALIVE'), source: 'TCP_KEEPALIVE' },
    { name: 'idle timeout', layer: 'load balancer', seconds: timeouts.idleTimeoutSeconds, source: 'timeouts.idleTimeoutSeconds' },
    { name: 'target keep-alive', layer: 'gateway', seconds: own('KEEP_ALIVE_TIMEOUT'), source: 'KEEP_ALIVE_TIMEOUT' },
    { name: 'call budget', layer: 'gateway', seconds: own('REQUEST_TIMEOUT'), source: 'REQUEST_TIMEOUT' },
    { name: 'deregistration delay', layer: 'target group', seconds: timeouts.deregistrationDelaySeconds, source: 'timeouts.deregistrationDelaySeconds' },
    { name: 'drain deadline', layer: 'gateway', seconds: own('DRAIN_TIMEOUT'), source: 'DRAIN_TIMEOUT' },
    { name: 'stop timeout', layer: 'ECS', seconds: timeouts.stopTimeoutSeconds, source: 'timeouts.stopTimeoutSeconds' },
    { name: 'stickiness', layer: 'target group', seconds: timeouts.stickinessSeconds, source: 'timeouts.stickinessSeconds' },
    { name: 'client connection', layer: 'load balancer', seconds: timeouts.clientKeepAliveSeconds, source: 'timeouts.clientKeepAliveSeconds' },
    { name: 'health timeout', layer: 'target group', seconds: health.timeoutSeconds, source: 'health.timeoutSeconds' },
    { name: 'health interval', layer: 'target group', seconds: health.intervalSeconds, source: 'health.intervalSeconds' },
    { name: 'health grace', layer: 'ECS', seconds: health.graceSeconds, source: 'health.graceSeconds' },
  ];
}

interface Rule {
  readonly lower: RungName;
  readonly upper: RungName;
  /** How many times `lower` fits into `upper` at least. */
  readonly times: number;
  /** Whether equal is enough. */
  readonly orEqual: boolean;
  readonly why: string;
}

/** The order, each with what happens to people when it does not hold. */
export const RULES: readonly Rule[] = [
  { lower: 'stream comment', upper: 'idle timeout', times: 4, orEqual: true, why: 'an idle stream is cut when one or two comments are late' },
  { lower: 'idle timeout', upper: 'target keep-alive', times: 1, orEqual: false, why: 'the load balancer reuses a connection that the gateway is closing, and answers 502' },
  { lower: 'slow call', upper: 'stream comment', times: 1, orEqual: true, why: 'a slow call is silent for longer than any stream' },
  { lower: 'call budget', upper: 'deregistration delay', times: 1, orEqual: true, why: 'a deploy cuts calls that were still allowed to run' },
  { lower: 'deregistration delay', upper: 'client connection', times: 1, orEqual: true, why: 'connections end before a leaving task is done with them' },
  { lower: 'drain deadline', upper: 'stop timeout', times: 1, orEqual: false, why: 'a task is killed while it still drains' },
  { lower: 'health timeout', upper: 'health interval', times: 1, orEqual: false, why: 'health checks overlap, and the load balancer refuses the target group' },
  { lower: 'health interval', upper: 'health grace', times: 2, orEqual: true, why: 'a starting task is killed before its second health check' },
];

/** Every rule that the ladder breaks. */
export function misorders(rungs: readonly Rung[]): Misorder[] {
  return RULES.flatMap((rule) => {
    const lower = rung(rungs, rule.lower);
    const upper = rung(rungs, rule.upper);
    const least = lower.seconds * rule.times;
    if (upper.seconds > least || (rule.orEqual && upper.seconds === least)) return [];
    const bound = `${rule.orEqual ? 'at least' : 'more than'} ${least} s`;
    return [
      {
        what: `\`${upper.source}\` is ${upper.seconds} s beside \`${lower.source}\` of ${lower.seconds} s: ${rule.why}`,
        fix: `set \`${upper.source}\` to ${bound}, or lower \`${lower.source}\``,
      },
    ];
  });
}

function rung(rungs: readonly Rung[], name: RungName): Rung {
  const found = rungs.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`the ladder has no rung \`${name}\``);
  return found;
}
