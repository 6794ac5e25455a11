// An attribute: where it stands in a template, what it must be, and what happens to people when it is not.

import { isDeepStrictEqual } from 'node:util';

import type { Declared } from '../../lib/declared.ts';
import type { Kind, Resource, Templates } from './templates.ts';

/** A step into a property: a key, or the element of a list that has these values. */
export type Step = string | number | Record<string, unknown>;

/** One attribute of the live account. */
export interface Attribute {
  /** Of the assertion in `verify`; a letter at the end tells parts of one apart. */
  readonly id: string;
  /** The failure that it prevents, as the name of the test. */
  readonly prevents: string;
  readonly stack: Kind;
  readonly type: string;
  /** Which resource of that type, where there are several. */
  readonly where?: (id: string, resource: Resource) => boolean;
  /** From the resource itself, so with `Properties` in front. */
  readonly path: readonly Step[];
  /** Production's value. Written out, so that a changed constant fails. */
  readonly expected: unknown;
  /** The same in `declared.json`, unless it says nothing about it. */
  readonly declared: ((declared: Declared) => unknown) | undefined;
  /** What a wrong hand would write; `undefined` removes it. */
  readonly wrong: unknown;
}

/** Id, failure, path (below `Properties`, or from the resource itself after a `.`), expected, wrong, declared. */
export type Row = readonly [
  id: string,
  prevents: string,
  path: readonly Step[],
  expected: unknown,
  wrong: unknown,
  declared?: (declared: Declared) => unknown,
];

/** The attributes of one resource. */
export function attributes(stack: Kind, type: string, rows: readonly Row[], where?: Attribute['where']): Attribute[] {
  return rows.map(([id, prevents, path, expected, wrong, declared]) => ({
    id,
    prevents,
    stack,
    type,
    path: path[0] === '.' ? path.slice(1) : ['Properties', ...path],
    expected,
    wrong,
    declared,
    ...(where ? { where } : {}),
  }));
}

/** What the templates say. */
export function read(attribute: Attribute, templates: Templates): unknown {
  return attribute.path.reduce<unknown>(step, find(attribute, templates));
}

/** Whether the templates say what they must. */
export function holds(attribute: Attribute, templates: Templates): boolean {
  return isDeepStrictEqual(read(attribute, templates), attribute.expected);
}

/** The templates with this one attribute wrong. */
export function flipped(attribute: Attribute, templates: Templates): Templates {
  const copy = structuredClone(templates);
  const parent = attribute.path.slice(0, -1).reduce<unknown>(step, find(attribute, copy));
  const last = attribute.path.at(-1);
  if (typeof parent !== 'object' || parent === null || last === undefined) {
    throw new Error(`\`${attribute.id}\` has nothing to flip at ${JSON.stringify(attribute.path)}`);
  }
  const key = typeof last === 'object' ? String((parent as unknown[]).indexOf(step(parent, last))) : String(last);
  if (attribute.wrong === undefined) delete (parent as Record<string, unknown>)[key];
  else (parent as Record<string, unknown>)[key] = attribute.wrong;
  return copy;
}

function find(attribute: Attribute, templates: Templates): Resource {
  const all = Object.entries(templates[attribute.stack].Resources).filter(
    ([id, resource]) => resource.Type === attribute.type && (attribute.where?.(id, resource) ?? true),
  );
  const [first] = all;
  if (first === undefined || all.length > 1) {
    throw new Error(`\`${attribute.id}\` fits ${all.length} resources of ${attribute.type} instead of one`);
  }
  return first[1];
}

function step(value: unknown, next: Step): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  if (typeof next !== 'object') return (value as Record<string, unknown>)[next];
  return (value as Record<string, unknown>[]).find((element) =>
    Object.entries(next).every(([key, wanted]) => isDeepStrictEqual(element[key], wanted)),
  );
}
