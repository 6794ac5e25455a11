// Turns what an environment writes into a checked configuration; all problems are reported together.

import { gatewayReference, type GatewayReference } from '../lib/gateway-reference.ts';
import { Config, type ConfigInput } from './schema.ts';
import { unsafe, type Refusal } from './unsafe.ts';

/** A configuration that is not used, with the fix of each problem. */
export class ConfigError extends Error {
  readonly refusals: readonly Refusal[];

  constructor(environment: string, refusals: readonly Refusal[]) {
    const lines = refusals.map(({ what, fix }) => `error: ${what}\n  hint: ${fix}`);
    super(`the configuration of \`${environment}\` is refused\n${lines.join('\n')}`);
    this.name = 'ConfigError';
    this.refusals = refusals;
  }
}

/** Checks shapes and bounds first; only what passes is checked for unsafe combinations. */
export function load(input: ConfigInput, reference: GatewayReference = gatewayReference()): Config {
  const parsed = Config.safeParse(input);
  if (!parsed.success) {
    const refusals = parsed.error.issues.map((issue) => {
      const at = issue.path.join('.') || 'the configuration';
      return { what: `\`${at}\`: ${issue.message}`, fix: `correct it in \`infra/config/${input.environment}.ts\`` };
    });
    throw new ConfigError(input.environment, refusals);
  }
  const refusals = unsafe(parsed.data, reference);
  if (refusals.length > 0) throw new ConfigError(input.environment, refusals);
  return parsed.data;
}
