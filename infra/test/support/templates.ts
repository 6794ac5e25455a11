// The templates of an environment, made once for all tests.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { App } from 'aws-cdk-lib';

import { ENVIRONMENTS, environment } from '../../config/index.ts';
import { load } from '../../config/load.ts';
import type { Config, ConfigInput } from '../../config/schema.ts';
import { flags } from '../../lib/app.ts';
import type { Declared } from '../../lib/declared.ts';
import { EnvironmentStage } from '../../lib/environment.ts';

/** A resource as a template has it. */
export interface Resource {
  Type: string;
  Properties: Record<string, unknown>;
  DependsOn?: string[];
  DeletionPolicy?: string;
  UpdateReplacePolicy?: string;
  Metadata?: Record<string, unknown>;
}

/** A template as far as tests look at it. */
export interface Template {
  Resources: Record<string, Resource>;
  Outputs?: Record<string, { Value: unknown; Export?: unknown }>;
  Parameters?: Record<string, { Type: string; Default?: unknown }>;
}

export type Kind = 'registry' | 'data' | 'service' | 'observability' | 'pipeline';
export type Templates = Record<Kind, Template>;

/** An environment as it was built. */
export interface Built {
  readonly config: Config;
  readonly declared: Declared;
  readonly stage: EnvironmentStage;
  readonly templates: Templates;
}

/** Builds a configuration without the CLI; the CLI's own validation is for `cdk synth`. */
export function build(config: Config): Built {
  const outdir = mkdtempSync(join(tmpdir(), 'mcp-gateway-infra-'));
  const app = new App({ outdir, analyticsReporting: false, context: { ...flags(), '@aws-cdk/core:validation': false } });
  const stage = new EnvironmentStage(app, { config, account: undefined });
  const stacks = stage.synth().stacks;
  const template = (kind: Kind): Template =>
    (stacks.find((stack) => stack.stackName.endsWith(`-${kind}`))?.template as Template | undefined) ?? { Resources: {} };
  const templates = {
    registry: template('registry'),
    data: template('data'),
    service: template('service'),
    observability: template('observability'),
    pipeline: template('pipeline'),
  };
  return { config, declared: stage.declared, stage, templates };
}

const made = new Map<string, Built>();

/** An environment of this repository. */
export function built(name: string): Built {
  const known = made.get(name) ?? build(environment(name));
  made.set(name, known);
  return known;
}

type Deep<T> = { [K in keyof T]?: T[K] extends object ? Deep<T[K]> : T[K] };

/** What an environment writes, with some of it changed. */
export function changed(name: string, changes: Deep<ConfigInput>): ConfigInput {
  return merge(structuredClone(ENVIRONMENTS[name]), changes) as ConfigInput;
}

/** A changed environment, built. */
export function buildChanged(name: string, changes: Deep<ConfigInput>): Built {
  return build(load(changed(name, changes)));
}

/** Objects are merged; anything else, and an object of another `kind`, replaces what was there. */
function merge(base: unknown, changes: unknown): unknown {
  if (!isObject(base) || !isObject(changes)) return changes;
  if ('kind' in changes && changes['kind'] !== base['kind']) return changes;
  const keys = new Set([...Object.keys(base), ...Object.keys(changes)]);
  return Object.fromEntries([...keys].map((key) => [key, key in changes ? merge(base[key], changes[key]) : base[key]]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** All resources of a type. */
export function resources(template: Template, type: string): [string, Resource][] {
  return Object.entries(template.Resources).filter(([, resource]) => resource.Type === type);
}
