// One environment as a stage of the app: its five stacks, in the order in which they stand on each other.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Stage } from 'aws-cdk-lib';
import type { Construct } from 'constructs';

import type { Config } from '../config/schema.ts';
import { declare } from './declare.ts';
import type { Declared } from './declared.ts';
import { DataStack } from './stack/data.ts';
import { ObservabilityStack } from './stack/observability.ts';
import { PipelineStack } from './stack/pipeline.ts';
import { RegistryStack } from './stack/registry.ts';
import { ServiceStack } from './stack/service.ts';

/** What an environment is made from. */
export interface EnvironmentStageProps {
  readonly config: Config;
  readonly account: string | undefined;
}

/** `cdk deploy 'staging/*'` deploys all of one. */
export class EnvironmentStage extends Stage {
  readonly config: Config;
  readonly declared: Declared;
  readonly registry: RegistryStack;
  readonly data: DataStack;
  readonly service: ServiceStack;
  readonly observability: ObservabilityStack;
  readonly pipeline: PipelineStack | undefined;

  constructor(scope: Construct, props: EnvironmentStageProps) {
    super(scope, props.config.environment);
    this.config = props.config;
    this.declared = declare(props.config, props.account);
    this.registry = new RegistryStack(this, props);
    this.data = new DataStack(this, props);
    this.service = new ServiceStack(this, { ...props, registry: this.registry, data: this.data });
    this.observability = new ObservabilityStack(this, { ...props, service: this.service });
    const { github } = props.config;
    this.pipeline = github && new PipelineStack(this, { ...props, github });
  }

  /** Writes `declared.json` beside the templates, so that the two are never of different runs. */
  writeDeclared(): void {
    mkdirSync(this.outdir, { recursive: true });
    writeFileSync(join(this.outdir, 'declared.json'), `${JSON.stringify(this.declared, null, 2)}\n`);
  }
}
