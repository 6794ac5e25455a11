// The gateway's own settings, read from its generated reference, so that no default is written twice.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const REFERENCE = fileURLToPath(new URL('../../docs/reference/configuration.md', import.meta.url));

/** One row of the reference. */
export interface Setting {
  readonly name: string;
  readonly value: string;
  /** As written; `undefined` when there is none. */
  readonly fallback: string | undefined;
  /** Bounds, where the value is a number. */
  readonly range: readonly [number, number] | undefined;
  readonly secret: boolean;
}

/** Every setting of the gateway by name. */
export type GatewayReference = ReadonlyMap<string, Setting>;

/** Reads the reference of this checkout. */
export function gatewayReference(): GatewayReference {
  return parseReference(readFileSync(REFERENCE, 'utf8'));
}

/** Reads the tables of the reference: name, value, default, meaning. */
export function parseReference(markdown: string): GatewayReference {
  const settings = new Map<string, Setting>();
  for (const line of markdown.split('\n')) {
    const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
    const [, names, value, fallback, meaning] = cells;
    if (names === undefined || value === undefined || fallback === undefined || meaning === undefined) continue;
    for (const [, name] of names.matchAll(/`([A-Z][A-Z0-9_]*)`/g)) {
      if (name !== undefined) settings.set(name, setting(name, value, fallback, meaning));
    }
  }
  if (settings.size === 0) throw new Error('the reference of the gateway has no table of settings');
  return settings;
}

function setting(name: string, value: string, fallback: string, meaning: string): Setting {
  const range = /from (-?\d+) to (\d+)/.exec(value);
  return {
    name,
    value,
    fallback: /^`(.*)`$/.exec(fallback)?.[1],
    range: range ? [Number(range[1]), Number(range[2])] : undefined,
    secret: meaning.includes('Secret: never printed.'),
  };
}

/** What a task works with: the environment's own value, or else the gateway's default, in seconds. */
export function effectiveSeconds(reference: GatewayReference, settings: Record<string, string>, name: string): number {
  const known = reference.get(name);
  if (known === undefined) throw new Error(`\`${name}\` is not a setting of this gateway`);
  const milliseconds = Number(settings[name] ?? known.fallback);
  if (!Number.isFinite(milliseconds)) throw new Error(`\`${name}\` has no number as its value`);
  return milliseconds / 1000;
}
