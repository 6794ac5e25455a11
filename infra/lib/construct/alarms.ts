// The alarms of a running service, and the topic that tells people.

import { Duration } from 'aws-cdk-lib';
import type { ICertificate } from 'aws-cdk-lib/aws-certificatemanager';
import { Alarm, ComparisonOperator, Metric, TreatMissingData, type IAlarm, type IMetric } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { CfnMetricFilter } from 'aws-cdk-lib/aws-logs';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';

import type { Config } from '../../config/schema.ts';
import type { Names } from '../names.ts';
import type { LoadBalancer } from './load-balancer.ts';
import { CONNECTIONS_PER_STREAM } from './scaling.ts';

/** What is watched. */
export interface AlarmsProps {
  readonly names: Names;
  readonly config: Config;
  readonly balancer: LoadBalancer;
  readonly certificate: ICertificate;
  /** Alarms that are made elsewhere and are told to the same people. */
  readonly others: readonly IAlarm[];
}

/** Days before the end of a certificate at which somebody has to look why it was not renewed. */
export const CERTIFICATE_DAYS = 30;

interface Watch {
  readonly what: string;
  readonly why: string;
  readonly metric: IMetric;
  readonly threshold: number;
  readonly periods: number;
  readonly below?: boolean;
  readonly missing?: TreatMissingData;
}

/** Each alarm has a section of its name in `docs/infrastructure.md`. */
export class Alarms extends Construct {
  readonly alarms: readonly Alarm[];

  constructor(scope: Construct, id: string, props: AlarmsProps) {
    super(scope, id);
    const topic = new Topic(this, 'Topic', { topicName: props.names.topic, enforceSSL: true });
    for (const email of props.config.alarms.emails) topic.addSubscription(new EmailSubscription(email));
    this.countErrors(props.names);
    this.alarms = watches(props).map((watch) => this.alarm(props.names, watch));
    for (const alarm of [...this.alarms, ...props.others]) {
      (alarm as Alarm).addAlarmAction(new SnsAction(topic));
    }
  }

  private alarm(names: Names, watch: Watch): Alarm {
    const id = watch.what.replaceAll(/(^|-)(\w)/g, (_, __, letter: string) => letter.toUpperCase());
    return new Alarm(this, id, {
      alarmName: names.alarm(watch.what),
      alarmDescription: `${watch.why}: docs/infrastructure.md#${watch.what}`,
      metric: watch.metric,
      threshold: watch.threshold,
      evaluationPeriods: watch.periods,
      comparisonOperator: watch.below
        ? ComparisonOperator.LESS_THAN_THRESHOLD
        : ComparisonOperator.GREATER_THAN_THRESHOLD,
      treatMissingData: watch.missing ?? TreatMissingData.NOT_BREACHING,
    });
  }

  /** The gateway writes one JSON object per line; `ERROR` lines are those that somebody has to read. */
  private countErrors(names: Names): void {
    new CfnMetricFilter(this, 'ErrorFilter', {
      logGroupName: names.logGroup,
      filterPattern: '{ $.level = "ERROR" }',
      metricTransformations: [{ metricNamespace: names.metrics, metricName: 'ErrorLines', metricValue: '1', defaultValue: 0 }],
    });
  }
}

function watches({ names, config, balancer, certificate }: AlarmsProps): Watch[] {
  const service = { ClusterName: names.cluster, ServiceName: names.service };
  const metric = (namespace: string, metricName: string, dimensionsMap: Record<string, string>, statistic: string, minutes: number) =>
    new Metric({ namespace, metricName, dimensionsMap, statistic, period: Duration.minutes(minutes) });
  const group = balancer.targetGroup.metrics;
  const throttled = (table: string) => metric('AWS/DynamoDB', 'ThrottledRequests', { TableName: table }, 'Sum', 1);
  const streams = config.scaling.streamsPerTask * config.scaling.maxTasks * CONNECTIONS_PER_STREAM;
  return [
    { what: 'cpu', why: 'Tasks are busy', metric: metric('AWS/ECS', 'CPUUtilization', service, 'Average', 5), threshold: 80, periods: 3 },
    { what: 'memory', why: 'Tasks run out of memory', metric: metric('AWS/ECS', 'MemoryUtilization', service, 'Average', 5), threshold: 80, periods: 3 },
    { what: 'too-few-tasks', why: 'Fewer tasks serve than there should be', metric: group.healthyHostCount({ period: Duration.minutes(1), statistic: 'Minimum' }),
      threshold: config.scaling.minTasks, periods: 10, below: true, missing: TreatMissingData.BREACHING },
    { what: 'connection-errors', why: 'The load balancer does not reach tasks', metric: group.targetConnectionErrorCount({ period: Duration.minutes(1), statistic: 'Sum' }),
      threshold: 0, periods: 3 },
    { what: 'streams', why: 'The largest number of tasks is nearly full of streams',
      metric: balancer.loadBalancer.metrics.activeConnectionCount({ period: Duration.minutes(5), statistic: 'Maximum' }), threshold: Math.floor(streams * 0.8), periods: 2 },
    { what: 'sessions-throttled', why: 'DynamoDB slows the sessions table down', metric: throttled(names.tables.sessions), threshold: 10, periods: 2 },
    { what: 'tokens-throttled', why: 'DynamoDB slows the tokens table down', metric: throttled(names.tables.tokens), threshold: 10, periods: 2 },
    { what: 'error-lines', why: 'The gateway logs errors', metric: metric(names.metrics, 'ErrorLines', {}, 'Sum', 5), threshold: 10, periods: 2 },
    { what: 'certificate-expiry', why: 'The certificate was not renewed',
      metric: metric('AWS/CertificateManager', 'DaysToExpiry', { CertificateArn: certificate.certificateArn }, 'Minimum', 1440), threshold: CERTIFICATE_DAYS, periods: 1, below: true },
  ];
}

/** The names of all alarms of an environment, those of the deployment apart. */
export function alarmNames(names: Names): string[] {
  return ['cpu', 'memory', 'too-few-tasks', 'connection-errors', 'streams', 'sessions-throttled', 'tokens-throttled', 'error-lines', 'certificate-expiry', 'ping-failed'].map(
    (what) => names.alarm(what),
  );
}
