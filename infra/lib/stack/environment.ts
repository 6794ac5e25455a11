// What all stacks of an environment have in common.

import { Stack, Tags, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';

import type { Config } from '../../config/schema.ts';
import { names, type Names } from '../names.ts';

/** The account is that of the credentials unless it is given; the region is the configuration's. */
export interface EnvironmentProps {
  readonly config: Config;
  readonly account: string | undefined;
}

/** A stack of one environment: named, tagged and protected alike. */
export abstract class EnvironmentStack extends Stack {
  readonly config: Config;
  readonly names: Names;

  constructor(scope: Construct, kind: keyof Names['stacks'], description: string, props: EnvironmentProps) {
    const { config } = props;
    const known = names(config.environment);
    const stackProps: StackProps = {
      stackName: known.stacks[kind],
      description,
      env: { region: config.region, ...(props.account ? { account: props.account } : {}) },
      terminationProtection: config.protection.deletion,
      analyticsReporting: false,
    };
    super(scope, kind, stackProps);
    this.config = config;
    this.names = known;
    Tags.of(this).add('service', 'mcp-gateway');
    Tags.of(this).add('environment', config.environment);
  }
}
