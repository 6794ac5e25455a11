// The ECS service: how many tasks, how they are replaced, and that CloudFormation never says which revision runs.

import { Aws, Duration } from 'aws-cdk-lib';
import {
  AvailabilityZoneRebalancing,
  Cluster,
  ContainerInsights,
  FargatePlatformVersion,
  FargateService,
  PropagatedTagSource,
  TaskDefinitionRevision,
  type CfnService,
} from 'aws-cdk-lib/aws-ecs';
import type { ApplicationTargetGroup } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { Construct } from 'constructs';

import type { Config } from '../../config/schema.ts';
import { PORTS, type Names } from '../names.ts';
import type { Network } from './network.ts';
import type { GatewayTask } from './task-definition.ts';

/** What the service is made of. */
export interface GatewayServiceProps {
  readonly names: Names;
  readonly config: Config;
  readonly network: Network;
  readonly task: GatewayTask;
  readonly targetGroup: ApplicationTargetGroup;
  /** Alarms that end a deployment. */
  readonly deploymentAlarms: readonly string[];
}

/** Tasks that fail to start before a deployment is given up. */
export const BREAKER_THRESHOLD = 3;

/** A cluster with one service. */
export class GatewayService extends Construct {
  readonly cluster: Cluster;
  readonly service: FargateService;

  constructor(scope: Construct, id: string, props: GatewayServiceProps) {
    super(scope, id);
    const { names, config, network, task } = props;
    this.cluster = new Cluster(this, 'Cluster', {
      clusterName: names.cluster,
      vpc: network.vpc,
      containerInsightsV2: ContainerInsights.ENHANCED,
    });
    this.service = new FargateService(this, 'Service', {
      serviceName: names.service,
      cluster: this.cluster,
      taskDefinition: task.definition,
      // The family instead of a revision: which revision runs is decided by the release tool alone.
      taskDefinitionRevision: TaskDefinitionRevision.LATEST,
      platformVersion: FargatePlatformVersion.LATEST,
      minHealthyPercent: 100,
      maxHealthyPercent: 200,
      circuitBreaker: { enable: true, rollback: true },
      deploymentAlarms: { alarmNames: [...props.deploymentAlarms] },
      healthCheckGracePeriod: Duration.seconds(config.health.graceSeconds),
      availabilityZoneRebalancing: AvailabilityZoneRebalancing[config.scaling.zoneRebalancing],
      enableExecuteCommand: false,
      enableECSManagedTags: true,
      propagateTags: PropagatedTagSource.SERVICE,
      vpcSubnets: network.taskSubnets,
      assignPublicIp: network.assignPublicIp,
      securityGroups: [network.taskGroup],
    });
    props.targetGroup.addTarget(this.service.loadBalancerTarget({ containerName: names.container, containerPort: PORTS.http }));
    this.limitFailures();
  }

  /** The same number of attempts for any number of tasks; the construct library has no property for it. */
  private limitFailures(): void {
    const resource = this.service.node.defaultChild as CfnService;
    const breaker = 'DeploymentConfiguration.DeploymentCircuitBreaker';
    resource.addPropertyOverride(`${breaker}.ThresholdConfiguration`, { Type: 'COUNT', Value: BREAKER_THRESHOLD });
    resource.addPropertyOverride(`${breaker}.ResetOnHealthyTask`, false);
  }

  /** Not the ARN that the resource returns: policies that name it would wait for the service. */
  static arn(names: Names): string {
    return `arn:${Aws.PARTITION}:ecs:${Aws.REGION}:${Aws.ACCOUNT_ID}:service/${names.cluster}/${names.service}`;
  }
}
