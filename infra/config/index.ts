// The environments of this repository by name.

import { load } from './load.ts';
import { local } from './local.ts';
import { production } from './production.ts';
import type { Config, ConfigInput } from './schema.ts';
import { staging } from './staging.ts';

/** What each environment writes. */
export const ENVIRONMENTS: Readonly<Record<string, ConfigInput>> = { staging, production, local };

/** The checked configuration of one environment. */
export function environment(name: string): Config {
  const input = ENVIRONMENTS[name];
  if (input === undefined) {
    const known = Object.keys(ENVIRONMENTS).join(', ');
    throw new Error(`there is no environment \`${name}\`\n  hint: one of ${known}; a new one is a file in \`infra/config\``);
  }
  return load(input);
}
