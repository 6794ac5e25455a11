// The registry, apart from everything else: the first image is pushed before there is anything to run it.

import { CfnOutput } from 'aws-cdk-lib';
import type { Repository } from 'aws-cdk-lib/aws-ecr';
import type { Construct } from 'constructs';

import { GatewayRepository } from '../construct/repository.ts';
import { EnvironmentStack, type EnvironmentProps } from './environment.ts';

/** Images of the gateway. */
export class RegistryStack extends EnvironmentStack {
  readonly repository: Repository;

  constructor(scope: Construct, props: EnvironmentProps) {
    super(scope, 'registry', 'MCP gateway: images', props);
    this.repository = new GatewayRepository(this, 'Images', {
      repositoryName: this.names.repository,
      retain: props.config.protection.deletion,
    }).repository;
    new CfnOutput(this, 'RepositoryUri', { value: this.repository.repositoryUri });
  }
}
