// docs/infrastructure.md: what is generated in it is as generated, and what refers to it finds something.
//
// `UPDATE_DOCS=1 npx vitest run test/document.test.ts` rewrites the generated tables.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { gapTable } from '../emulate/gaps.ts';
import { timeoutTable } from '../lib/timeout-table.ts';
import { built, resources } from './support/templates.ts';

const PATH = fileURLToPath(new URL('../../docs/infrastructure.md', import.meta.url));
const { declared, templates } = built('production');

/** What stands between `<!-- generated: name -->` and the next comment. */
function section(text: string, name: string): string {
  return new RegExp(`<!-- generated: ${name} -->\n([^]*?)\n<!-- end -->`).exec(text)?.[1] ?? `the document has no table \`${name}\``;
}

function replaced(text: string, name: string, table: string): string {
  const [start, end] = [`<!-- generated: ${name} -->\n`, '\n<!-- end -->'];
  const [before, rest = ''] = text.split(start);
  return `${before}${start}${table}${rest.slice(rest.indexOf(end))}`;
}

describe('docs/infrastructure.md', () => {
  const tables = { timeouts: timeoutTable(declared), gaps: gapTable() };

  it.each(Object.entries(tables))('has the generated table of %s', (name, table) => {
    if (process.env['UPDATE_DOCS']) writeFileSync(PATH, replaced(readFileSync(PATH, 'utf8'), name, table));
    expect(section(readFileSync(PATH, 'utf8'), name)).toBe(table);
  });

  const alarms = [templates.service, templates.observability].flatMap((template) =>
    resources(template, 'AWS::CloudWatch::Alarm').map(([, { Properties }]) => String(Properties['AlarmDescription'])),
  );

  it.each(alarms)('has the section that an alarm names: %s', (description) => {
    const anchor = /docs\/infrastructure\.md#([a-z-]+)$/.exec(description)?.[1];
    const headings = [...readFileSync(PATH, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading?.toLowerCase().replaceAll(' ', '-'));
    expect(headings).toContain(anchor);
  });
});
