// What people look at and are called by: alarms, dashboard, saved queries, the synthetic ping.

import type { Construct } from 'constructs';

import { Alarms } from '../construct/alarms.ts';
import { GatewayDashboard } from '../construct/dashboard.ts';
import { Ping } from '../construct/ping.ts';
import { Queries } from '../construct/queries.ts';
import { EnvironmentStack, type EnvironmentProps } from './environment.ts';
import type { ServiceStack } from './service.ts';

/** The stack that this one watches. */
export interface ObservabilityStackProps extends EnvironmentProps {
  readonly service: ServiceStack;
}

/** Eyes and bells. */
export class ObservabilityStack extends EnvironmentStack {
  constructor(scope: Construct, props: ObservabilityStackProps) {
    super(scope, 'observability', 'MCP gateway: alarms, dashboard, queries, ping', props);
    const { names, config } = this;
    const { balancer, certificate, deploymentAlarms } = props.service;
    const ping = new Ping(this, 'Ping', {
      names,
      publicUrl: `https://${config.domain.host}`,
      logDays: config.retention.logDays,
    });
    const alarms = new Alarms(this, 'Alarms', {
      names,
      config,
      balancer,
      certificate: certificate.certificate,
      others: [ping.alarm],
    }).alarms;
    new GatewayDashboard(this, 'Dashboard', { names, balancer, alarms: [...deploymentAlarms, ...alarms, ping.alarm] });
    new Queries(this, 'Queries', { names });
    this.addStackDependency(props.service, 'metric filters need the log group');
  }
}
