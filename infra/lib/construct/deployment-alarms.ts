// The alarms that end a deployment and send it back.

import { Duration } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { HttpCodeElb, HttpCodeTarget, type ApplicationLoadBalancer, type ApplicationTargetGroup } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { Construct } from 'constructs';

import type { Names } from '../names.ts';

/** What is watched. */
export interface DeploymentAlarmsProps {
  readonly names: Names;
  readonly loadBalancer: ApplicationLoadBalancer;
  readonly targetGroup: ApplicationTargetGroup;
}

/** Names are fixed, so that the service refers to an alarm without waiting for it. */
export function deploymentAlarmNames(names: Names): string[] {
  return [names.alarm('bad-gateway'), names.alarm('server-errors'), names.alarm('unhealthy-targets')];
}

/** 503 is left out: the load balancer answers it to strangers, and the gateway to people who should come back. */
export class DeploymentAlarms extends Construct {
  readonly alarms: readonly Alarm[];

  constructor(scope: Construct, id: string, props: DeploymentAlarmsProps) {
    super(scope, id);
    const { loadBalancer, targetGroup } = props;
    const [badGateway, serverErrors, unhealthy] = deploymentAlarmNames(props.names);
    const minute = { period: Duration.minutes(1), statistic: 'Sum' };
    const common = {
      comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
      treatMissingData: TreatMissingData.NOT_BREACHING,
    };
    this.alarms = [
      new Alarm(this, 'BadGateway', {
        ...common,
        alarmName: badGateway,
        alarmDescription: 'Tasks close connections that the load balancer uses: docs/infrastructure.md#bad-gateway',
        metric: loadBalancer.metrics.httpCodeElb(HttpCodeElb.ELB_502_COUNT, minute),
        threshold: 5,
        evaluationPeriods: 2,
      }),
      new Alarm(this, 'ServerErrors', {
        ...common,
        alarmName: serverErrors,
        alarmDescription: 'The gateway answers 5xx: docs/infrastructure.md#server-errors',
        metric: targetGroup.metrics.httpCodeTarget(HttpCodeTarget.TARGET_5XX_COUNT, minute),
        threshold: 5,
        evaluationPeriods: 2,
      }),
      new Alarm(this, 'UnhealthyTargets', {
        ...common,
        alarmName: unhealthy,
        alarmDescription: 'Tasks fail their health check: docs/infrastructure.md#unhealthy-targets',
        metric: targetGroup.metrics.unhealthyHostCount({ period: Duration.minutes(1), statistic: 'Maximum' }),
        threshold: 0,
        evaluationPeriods: 2,
      }),
    ];
  }
}
