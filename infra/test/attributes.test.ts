// Every attribute of production: the template has it, `declared.json` says so, and its assertion can fail.

import { describe, expect, it } from 'vitest';

import { flipped, holds, read } from './support/attribute.ts';
import { SERVICE_ATTRIBUTES } from './support/service-attributes.ts';
import { STATE_ATTRIBUTES } from './support/state-attributes.ts';
import { built } from './support/templates.ts';

const ATTRIBUTES = [...SERVICE_ATTRIBUTES, ...STATE_ATTRIBUTES];
const production = built('production');
const { templates, declared } = production;

describe('in production it does not happen that', () => {
  it.each(ATTRIBUTES)('$id: $prevents', (attribute) => {
    expect(read(attribute, templates)).toEqual(attribute.expected);
    if (attribute.declared) expect(attribute.declared(declared)).toEqual(attribute.expected);
  });
});

describe('mutation check', () => {
  it('has one name for each attribute', () => {
    expect(new Set(ATTRIBUTES.map(({ id }) => id)).size).toBe(ATTRIBUTES.length);
    expect(new Set(ATTRIBUTES.map(({ prevents, id }) => `${prevents} ${id.split('-')[1] ?? ''}`)).size).toBe(ATTRIBUTES.length);
  });

  it('flips each attribute in its construct, and exactly its own assertion fails', () => {
    const rows = ATTRIBUTES.map((attribute) => {
      const mutated = flipped(attribute, production);
      const failed = ATTRIBUTES.filter((other) => !holds(other, mutated)).map(({ id }) => id);
      return { id: attribute.id, wrong: JSON.stringify(attribute.wrong) ?? 'removed', failed };
    });
    const width = (of: (row: (typeof rows)[number]) => string) => Math.max(...rows.map((row) => of(row).length));
    const [ids, wrongs] = [width((row) => row.id), Math.min(60, width((row) => row.wrong))];
    const lines = rows.map((row) => `${row.id.padEnd(ids)}  ${row.wrong.slice(0, 60).padEnd(wrongs)}  fails ${row.failed.join(', ') || 'NOTHING'}`);
    process.stdout.write(`${['attribute flipped in production, and what fails', ...lines].join('\n')}\n`);
    for (const row of rows) expect(row.failed, row.id).toEqual([row.id]);
  });
});
