// The dashboard: what people look at first, in the order in which they ask.

import { Duration } from 'aws-cdk-lib';
import { AlarmStatusWidget, Dashboard, GraphWidget, Metric, type IAlarm, type IMetric } from 'aws-cdk-lib/aws-cloudwatch';
import { HttpCodeElb, HttpCodeTarget } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { Construct } from 'constructs';

import type { Names } from '../names.ts';
import type { LoadBalancer } from './load-balancer.ts';

/** What is shown. */
export interface GatewayDashboardProps {
  readonly names: Names;
  readonly balancer: LoadBalancer;
  readonly alarms: readonly IAlarm[];
}

const PERIOD = Duration.minutes(1);

/** Alarms first, then clients, tasks and tables. */
export class GatewayDashboard extends Construct {
  constructor(scope: Construct, id: string, props: GatewayDashboardProps) {
    super(scope, id);
    const { names, alarms } = props;
    const dashboard = new Dashboard(this, 'Dashboard', { dashboardName: names.dashboard, defaultInterval: Duration.hours(3) });
    dashboard.addWidgets(new AlarmStatusWidget({ title: 'alarms', alarms: [...alarms], width: 24 }));
    dashboard.addWidgets(...clients(props));
    dashboard.addWidgets(...tasks(props));
    dashboard.addWidgets(...tables(names));
  }
}

function graph(title: string, left: IMetric[]): GraphWidget {
  return new GraphWidget({ title, left, width: 8, height: 6 });
}

function clients({ balancer }: GatewayDashboardProps): GraphWidget[] {
  const { metrics } = balancer.loadBalancer;
  const group = balancer.targetGroup.metrics;
  const sum = { period: PERIOD, statistic: 'Sum' };
  return [
    graph('open connections (a stream is two)', [metrics.activeConnectionCount(sum), metrics.newConnectionCount(sum)]),
    graph('requests and what went wrong', [
      metrics.requestCount(sum),
      metrics.httpCodeElb(HttpCodeElb.ELB_502_COUNT, sum),
      metrics.httpCodeElb(HttpCodeElb.ELB_504_COUNT, sum),
      group.httpCodeTarget(HttpCodeTarget.TARGET_5XX_COUNT, sum),
      group.httpCodeTarget(HttpCodeTarget.TARGET_4XX_COUNT, sum),
    ]),
    graph('time to the first byte', ['p50', 'p90', 'p99'].map((statistic) => group.targetResponseTime({ period: PERIOD, statistic }))),
  ];
}

function tasks({ names, balancer }: GatewayDashboardProps): GraphWidget[] {
  const group = balancer.targetGroup.metrics;
  const dimensionsMap = { ClusterName: names.cluster, ServiceName: names.service };
  const ecs = (metricName: string) => new Metric({ namespace: 'AWS/ECS', metricName, dimensionsMap, period: PERIOD });
  return [
    graph('tasks', [group.healthyHostCount({ period: PERIOD }), group.unhealthyHostCount({ period: PERIOD })]),
    graph('CPU and memory in percent', [ecs('CPUUtilization'), ecs('MemoryUtilization')]),
    graph('errors', [
      group.targetConnectionErrorCount({ period: PERIOD, statistic: 'Sum' }),
      new Metric({ namespace: names.metrics, metricName: 'ErrorLines', statistic: 'Sum', period: PERIOD }),
    ]),
  ];
}

function tables(names: Names): GraphWidget[] {
  const both = Object.values(names.tables);
  const metric = (TableName: string, metricName: string, statistic: string) =>
    new Metric({ namespace: 'AWS/DynamoDB', metricName, dimensionsMap: { TableName }, statistic, period: PERIOD, label: TableName });
  const each = (metricName: string, statistic = 'Sum') => both.map((table) => metric(table, metricName, statistic));
  return [
    graph('rows read', each('ConsumedReadCapacityUnits')),
    graph('rows written', each('ConsumedWriteCapacityUnits')),
    graph('throttled', each('ThrottledRequests')),
  ];
}
