// An attribute: where it stands in a template, what it must be, and what happens to people when it is not.

import { isDeepStrictEqual } from 'node:util';

import { CfnResource } from 'aws-cdk-lib';

import type { Declared } from '../../lib/declared.ts';
import type { Built, Kind, Resource, Template, Templates } from './templates.ts';

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
  return attribute.path.reduce<unknown>(step, find(attribute, templates)[1]);
}

/** Whether the templates say what they must. */
export function holds(attribute: Attribute, templates: Templates): boolean {
  return isDeepStrictEqual(read(attribute, templates), attribute.expected);
}

/** The templates with this one attribute wrong: changed in the construct, and rendered from there. */
export function flipped(attribute: Attribute, { stage, templates }: Built): Templates {
  const [id] = find(attribute, templates);
  const stack = stage[attribute.stack];
  const construct = stack?.node.findAll().find((node) => node instanceof CfnResource && stack.resolve(node.logicalId) === id) as CfnResource | undefined;
  if (stack === undefined || construct === undefined) throw new Error(`\`${id}\` has no construct`);
  const overrides = construct as unknown as { rawOverrides: object; _toCloudFormation(): object };
  const before = structuredClone(overrides.rawOverrides);
  const [path, value] = change(attribute, templates);
  if (value === undefined) construct.addDeletionOverride(path);
  else construct.addOverride(path, value);
  // As text and back: a template has no keys without a value.
  const rendered = JSON.parse(JSON.stringify(stack.resolve(overrides._toCloudFormation()))) as Template;
  overrides.rawOverrides = before;
  const template = templates[attribute.stack];
  return { ...templates, [attribute.stack]: { ...template, Resources: { ...template.Resources, ...rendered.Resources } } };
}

/** What to override with what. Below an intrinsic function it is the whole of it: the construct has a token there. */
function change(attribute: Attribute, templates: Templates): [path: string, value: unknown] {
  const keys: string[] = [];
  let value: unknown = find(attribute, templates)[1];
  for (const [at, next] of attribute.path.entries()) {
    if (typeof next === 'string' && /^(Fn::|Ref$)/.test(next)) return [dotted(keys), replaced(value, attribute.path.slice(at), attribute.wrong)];
    const parent = value;
    value = step(parent, next);
    keys.push(typeof next === 'object' ? String((parent as unknown[]).indexOf(value)) : String(next));
  }
  return [dotted(keys), attribute.wrong];
}

const dotted = (keys: string[]) => keys.map((key) => key.replaceAll('.', '\\.')).join('.');

function replaced(value: unknown, [next, ...rest]: readonly Step[], wrong: unknown): unknown {
  if (next === undefined) return wrong;
  const copy = structuredClone(value) as Record<string, unknown>;
  const key = typeof next === 'object' ? String((copy as unknown as unknown[]).indexOf(step(copy, next))) : String(next);
  copy[key] = replaced(copy[key], rest, wrong);
  return copy;
}

function find(attribute: Attribute, templates: Templates): [string, Resource] {
  const all = Object.entries(templates[attribute.stack].Resources).filter(
    ([id, resource]) => resource.Type === attribute.type && (attribute.where?.(id, resource) ?? true),
  );
  const [first] = all;
  if (first === undefined || all.length > 1) {
    throw new Error(`\`${attribute.id}\` fits ${all.length} resources of ${attribute.type} instead of one`);
  }
  return first;
}

function step(value: unknown, next: Step): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  if (typeof next !== 'object') return (value as Record<string, unknown>)[next];
  return (value as Record<string, unknown>[]).find((element) =>
    Object.entries(next).every(([key, wanted]) => isDeepStrictEqual(element[key], wanted)),
  );
}
