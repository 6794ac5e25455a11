// The synthetic ping: every five minutes, from outside of the service, what a client asks first.

import { readFileSync } from 'node:fs';

import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { CfnRule } from 'aws-cdk-lib/aws-events';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { CfnPermission, Code, Function, Runtime, type CfnFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';

import type { Names } from '../names.ts';

/** What differs between environments. */
export interface PingProps {
  readonly names: Names;
  readonly publicUrl: string;
  readonly logDays: RetentionDays;
}

/** How often the ping runs; the alarm waits for two failures. */
export const PING_MINUTES = 5;

const CODE = new URL('ping.mjs', import.meta.url);

/** A function, its schedule and its alarm. */
export class Ping extends Construct {
  readonly alarm: Alarm;

  constructor(scope: Construct, id: string, props: PingProps) {
    super(scope, id);
    const run = this.createFunction(props);
    this.schedule(run, props.names.ping);
    const failures = run.metricErrors({ period: Duration.minutes(PING_MINUTES), statistic: 'Sum' });
    this.alarm = new Alarm(this, 'Failed', {
      alarmName: props.names.alarm('ping-failed'),
      alarmDescription: 'The public URL does not answer as it should: docs/infrastructure.md#ping-failed',
      metric: failures,
      threshold: 0,
      evaluationPeriods: 2,
      comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
      // A ping that does not run proves nothing.
      treatMissingData: TreatMissingData.BREACHING,
    });
  }

  private createFunction({ names, publicUrl, logDays }: PingProps): Function {
    const logGroup = new LogGroup(this, 'Logs', {
      logGroupName: `/aws/lambda/${names.ping}`,
      retention: logDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new Role(this, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    role.addToPolicy(
      new PolicyStatement({ actions: ['logs:CreateLogStream', 'logs:PutLogEvents'], resources: [logGroup.logGroupArn] }),
    );
    const run = new Function(this, 'Function', {
      functionName: names.ping,
      description: 'Asks the public URL of the MCP gateway what a client asks first',
      runtime: Runtime.NODEJS_24_X,
      handler: 'index.handler',
      code: Code.fromInline(readFileSync(CODE, 'utf8')),
      environment: { PUBLIC_URL: publicUrl },
      timeout: Duration.seconds(45),
      memorySize: 128,
      role: role.withoutPolicyUpdates(),
      logGroup,
    });
    (run.node.defaultChild as CfnFunction).addPropertyOverride('ReservedConcurrentExecutions', 1);
    return run;
  }

  /** By hand, because the L2 target would give the rule a permission for every version of the function. */
  private schedule(run: Function, name: string): void {
    const rule = new CfnRule(this, 'Schedule', {
      name,
      scheduleExpression: `rate(${PING_MINUTES} minutes)`,
      state: 'ENABLED',
      targets: [{ id: 'ping', arn: run.functionArn }],
    });
    new CfnPermission(this, 'Permission', {
      action: 'lambda:InvokeFunction',
      functionName: run.functionName,
      principal: 'events.amazonaws.com',
      sourceArn: rule.attrArn,
    });
  }
}
