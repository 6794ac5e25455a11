// Takes out of the templates what ministack's CloudFormation refuses, and says what it took.
//
// It refuses a template as a whole when it has one type that it does not know. The app does not know of this: the
// filter works on what `cdk synth` wrote. What is taken out is applied to an emulator by API, or asserted on the
// template only; `docs/infrastructure.md` lists which.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Types that ministack's CloudFormation does not know. */
export const UNKNOWN_TYPES: ReadonlySet<string> = new Set([
  'AWS::ApplicationAutoScaling::ScalableTarget',
  'AWS::ApplicationAutoScaling::ScalingPolicy',
  'AWS::EC2::FlowLog',
  'AWS::EC2::SecurityGroupEgress',
  'AWS::EC2::SecurityGroupIngress',
  'AWS::IAM::OIDCProvider',
  'AWS::Logs::QueryDefinition',
  'AWS::WAFv2::WebACLAssociation',
]);

/** A resource that was taken out. */
export interface Dropped {
  readonly template: string;
  readonly id: string;
  readonly type: string;
  readonly properties: Record<string, unknown>;
}

interface Resource {
  Type: string;
  Properties?: Record<string, unknown>;
  DependsOn?: string | string[];
}

interface Template {
  Resources: Record<string, Resource>;
  Outputs?: Record<string, { Value: unknown }>;
}

/** Removes the unknown types from a template, in place. It is an error when anything that stays refers to them. */
export function filterTemplate(name: string, template: Template): Dropped[] {
  const dropped: Dropped[] = [];
  for (const [id, { Type, Properties }] of Object.entries(template.Resources)) {
    if (!UNKNOWN_TYPES.has(Type)) continue;
    dropped.push({ template: name, id, type: Type, properties: Properties ?? {} });
    delete template.Resources[id];
  }
  const gone = new Set(dropped.map(({ id }) => id));
  for (const resource of Object.values(template.Resources)) {
    const waiting = [resource.DependsOn ?? []].flat().filter((id) => !gone.has(id));
    if (waiting.length > 0) resource.DependsOn = waiting;
    else delete resource.DependsOn;
  }
  const left = JSON.stringify(template);
  for (const { id, type } of dropped) {
    if (left.includes(`{"Ref":"${id}"}`) || left.includes(`"Fn::GetAtt":["${id}"`)) {
      replaceReferences(template, id, `dropped-${type.split('::').at(-1) ?? 'resource'}`);
    }
  }
  return dropped;
}

/** What referred to a dropped resource gets a name instead, so that the rest still deploys. */
function replaceReferences(value: unknown, id: string, name: string): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, child] of Object.entries(value)) {
    const text = JSON.stringify(child);
    const isReference = text === `{"Ref":"${id}"}` || text?.startsWith(`{"Fn::GetAtt":["${id}"`);
    if (isReference) (value as Record<string, unknown>)[key] = name;
    else replaceReferences(child, id, name);
  }
}

/** Filters every template of an assembly. A template's asset is named after its hash, so that is renamed as well. */
export function filterAssembly(directory: string): Dropped[] {
  const files = readdirSync(directory);
  const manifestPath = join(directory, 'manifest.json');
  let manifest = readFileSync(manifestPath, 'utf8');
  const dropped: Dropped[] = [];
  for (const file of files.filter((name) => name.endsWith('.template.json'))) {
    const path = join(directory, file);
    const before = readFileSync(path, 'utf8');
    const template = JSON.parse(before) as Template;
    const taken = filterTemplate(file.replace('.template.json', ''), template);
    if (taken.length === 0) continue;
    dropped.push(...taken);
    const after = JSON.stringify(template, null, 1);
    writeFileSync(path, after);
    const [old, renamed] = [before, after].map((text) => createHash('sha256').update(text).digest('hex')) as [string, string];
    const assetsPath = path.replace('.template.json', '.assets.json');
    const assets = readFileSync(assetsPath, 'utf8');
    const known = assets.includes(old) ? old : /"([0-9a-f]{64})"/.exec(assets)?.[1];
    if (known === undefined) throw new Error(`\`${file}\` is not among its assets`);
    writeFileSync(assetsPath, assets.replaceAll(known, renamed));
    manifest = manifest.replaceAll(known, renamed);
  }
  writeFileSync(manifestPath, manifest);
  return dropped;
}
