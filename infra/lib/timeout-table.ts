// The timeout table of `docs/infrastructure.md`, made from `declared.json`.

import type { Declared } from './declared.ts';
import { RULES } from './ladder.ts';

/** One row for each timeout, with the rules that bind it to others. */
export function timeoutTable({ timeouts }: Declared): string {
  const rows = timeouts.map(({ name, layer, seconds, source }) => {
    const rules = RULES.filter(({ lower }) => lower === name).map(({ upper, times, orEqual }) => {
      const factor = times === 1 ? '' : `${times} times `;
      return `${factor ? `${factor}it is ` : ''}${orEqual ? 'at most' : 'below'} the ${upper}`;
    });
    return `| ${name} | ${layer} | ${seconds} s | \`${source}\` | ${rules.join('; ')} |`;
  });
  return ['| Timeout | Enforced by | Value | Set by | Rule |', '| --- | --- | --- | --- | --- |', ...rows].join('\n');
}
