// The way from GitHub Actions into the account.

import { CfnOutput } from 'aws-cdk-lib';
import type { Construct } from 'constructs';

import type { Config } from '../../config/schema.ts';
import { GitHub } from '../construct/github.ts';
import { EnvironmentStack, type EnvironmentProps } from './environment.ts';

/** Only for an environment that names its repository. */
export interface PipelineStackProps extends EnvironmentProps {
  readonly github: NonNullable<Config['github']>;
}

/** The OIDC provider and three roles. */
export class PipelineStack extends EnvironmentStack {
  constructor(scope: Construct, props: PipelineStackProps) {
    super(scope, 'pipeline', 'MCP gateway: roles of GitHub Actions', props);
    const github = new GitHub(this, 'GitHub', {
      names: this.names,
      environment: props.config.environment,
      github: props.github,
    });
    new CfnOutput(this, 'PlanRoleArn', { value: github.plan.roleArn });
    new CfnOutput(this, 'PushRoleArn', { value: github.push.roleArn });
    new CfnOutput(this, 'DeployRoleArn', { value: github.deploy.roleArn });
  }
}
