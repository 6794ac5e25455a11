// How GitHub Actions gets into the account: no stored key, three roles that can each do one thing.

import { ArnFormat, Duration, Stack } from 'aws-cdk-lib';
import { OidcProviderNative, PolicyStatement, Role, WebIdentityPrincipal } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';

import type { Config } from '../../config/schema.ts';
import type { Names } from '../names.ts';
import { DRIFT_ACTIONS, FUNCTION_DRIFT_ACTIONS, PARAMETER_ACTIONS, READ_ACTIONS } from './read-actions.ts';

/** What the roles are about. */
export interface GitHubProps {
  readonly names: Names;
  readonly environment: string;
  readonly github: NonNullable<Config['github']>;
}

const ISSUER = 'token.actions.githubusercontent.com';

/** `plan` reads, `push` writes images, `deploy` changes what runs. */
export class GitHub extends Construct {
  readonly plan: Role;
  readonly push: Role;
  readonly deploy: Role;
  private readonly props: GitHubProps;

  constructor(scope: Construct, id: string, props: GitHubProps) {
    super(scope, id);
    this.props = props;
    const { names, github, environment } = props;
    const provider = github.createProvider
      ? new OidcProviderNative(this, 'Provider', { url: `https://${ISSUER}`, clientIds: ['sts.amazonaws.com'] }).oidcProviderArn
      : this.arn('iam', 'oidc-provider', ISSUER, '');
    const subject = (what: string) => `repo:${github.repository}:${what}`;
    this.plan = this.role('Plan', names.roles.plan, provider, [subject('pull_request'), subject('ref:refs/heads/main'), subject(`environment:${environment}`)]);
    this.push = this.role('Push', names.roles.push, provider, [subject(`environment:${environment}`)]);
    this.deploy = this.role('Deploy', names.roles.deploy, provider, [subject(`environment:${environment}`)]);
    for (const role of [this.plan, this.deploy]) {
      role.addToPolicy(reading());
      role.addToPolicy(this.parameters('Parameters', PARAMETER_ACTIONS));
    }
    for (const statement of this.pushing()) this.push.addToPolicy(statement);
    for (const statement of this.deploying()) this.deploy.addToPolicy(statement);
    this.plan.addToPolicy(new PolicyStatement({ sid: 'Drift', actions: [...DRIFT_ACTIONS], resources: ['*'] }));
    const ping = Stack.of(this).formatArn({ service: 'lambda', resource: 'function', resourceName: names.ping, arnFormat: ArnFormat.COLON_RESOURCE_NAME });
    this.plan.addToPolicy(new PolicyStatement({ sid: 'DriftOfFunction', actions: [...FUNCTION_DRIFT_ACTIONS], resources: [ping] }));
    this.plan.addToPolicy(this.cdkRoles('PlanByCdk', ['lookup']));
  }

  /** The id of the repository as well as its name: a name that was given up can be taken over. */
  private role(id: string, roleName: string, providerArn: string, subjects: string[]): Role {
    const conditions = {
      StringEquals: {
        [`${ISSUER}:aud`]: 'sts.amazonaws.com',
        [`${ISSUER}:sub`]: subjects,
        [`${ISSUER}:repository_id`]: this.props.github.repositoryId,
      },
    };
    return new Role(this, id, {
      roleName,
      description: `GitHub Actions of the MCP gateway: ${id.toLowerCase()}`,
      assumedBy: new WebIdentityPrincipal(providerArn, conditions),
      maxSessionDuration: Duration.hours(1),
    });
  }

  private pushing(): PolicyStatement[] {
    return [
      new PolicyStatement({ sid: 'RegistryToken', actions: ['ecr:GetAuthorizationToken'], resources: ['*'] }),
      new PolicyStatement({
        sid: 'Images',
        actions: [
          'ecr:BatchCheckLayerAvailability',
          'ecr:BatchGetImage',
          'ecr:CompleteLayerUpload',
          'ecr:DescribeImages',
          'ecr:GetDownloadUrlForLayer',
          'ecr:InitiateLayerUpload',
          'ecr:PutImage',
          'ecr:UploadLayerPart',
        ],
        resources: [this.arn('ecr', 'repository', this.props.names.repository)],
      }),
    ];
  }

  private deploying(): PolicyStatement[] {
    const { names } = this.props;
    const service = `${names.cluster}/${names.service}`;
    const services = ['service', 'service-deployment', 'service-revision'].map((kind) =>
      this.arn('ecs', kind, kind === 'service' ? service : `${service}/*`),
    );
    return [
      this.cdkRoles('DeployByCdk', ['deploy', 'file-publishing', 'lookup']),
      new PolicyStatement({
        sid: 'MoveTheService',
        actions: ['ecs:StopServiceDeployment', 'ecs:UpdateService'],
        resources: services,
      }),
      new PolicyStatement({
        sid: 'Revisions',
        actions: ['ecs:RegisterTaskDefinition', 'ecs:TagResource'],
        resources: [this.arn('ecs', 'task-definition', `${names.family}:*`)],
      }),
      // The action knows no resource. It starts and stops nothing, and what was registered can still be read.
      new PolicyStatement({ sid: 'TakeBack', actions: ['ecs:DeregisterTaskDefinition'], resources: ['*'] }),
      new PolicyStatement({
        sid: 'PassTheTwoRoles',
        actions: ['iam:PassRole'],
        resources: [names.roles.task, names.roles.execution].map((role) => this.arn('iam', 'role', role, '')),
        conditions: { StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } },
      }),
      // Why a task of a release did not start is in its last lines.
      new PolicyStatement({
        sid: 'Diagnosis',
        actions: ['logs:FilterLogEvents', 'logs:GetLogEvents'],
        resources: ['', ':*'].map((end) => this.logGroupArn(end)),
      }),
      this.parameters('Ledger', ['ssm:DeleteParameter', 'ssm:PutParameter']),
      new PolicyStatement({
        sid: 'ReleaseTag',
        actions: ['ecr:PutImage', 'ecr:BatchGetImage'],
        resources: [this.arn('ecr', 'repository', names.repository)],
      }),
    ];
  }

  /** The roles that `cdk bootstrap` made; CloudFormation itself works under another one of those. */
  private cdkRoles(sid: string, which: string[]): PolicyStatement {
    const { account, region } = Stack.of(this);
    return new PolicyStatement({
      sid,
      actions: ['sts:AssumeRole'],
      resources: which.map((role) => this.arn('iam', 'role', `cdk-hnb659fds-${role}-role-${account}-${region}`, '')),
    });
  }

  /** Ledger, lock and digest of this environment. */
  private parameters(sid: string, actions: readonly string[]): PolicyStatement {
    const resources = [this.arn('ssm', 'parameter', `mcp-gateway/${this.props.environment}/*`)];
    return new PolicyStatement({ sid, actions: [...actions], resources });
  }

  private logGroupArn(end: string): string {
    const arnFormat = ArnFormat.COLON_RESOURCE_NAME;
    return Stack.of(this).formatArn({ service: 'logs', resource: 'log-group', resourceName: `${this.props.names.logGroup}${end}`, arnFormat });
  }

  private arn(service: string, resource: string, resourceName: string, region?: string): string {
    const arnFormat = ArnFormat.SLASH_RESOURCE_NAME;
    return Stack.of(this).formatArn({ service, resource, resourceName, arnFormat, ...(region === undefined ? {} : { region }) });
  }
}

/** Calls that list or describe know no single resource; none of them reads a row, a log line or a secret's value. */
function reading(): PolicyStatement {
  return new PolicyStatement({ sid: 'Verify', actions: [...READ_ACTIONS], resources: ['*'] });
}
