// How the number of tasks follows the number of open streams and the CPU, up and down.

import { CfnScalableTarget, CfnScalingPolicy } from 'aws-cdk-lib/aws-applicationautoscaling';
import type { ApplicationLoadBalancer, ApplicationTargetGroup } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { Construct } from 'constructs';

import type { Config } from '../../config/schema.ts';
import type { Names } from '../names.ts';
import type { GatewayService } from './service.ts';

/** What scales, and by what. */
export interface ScalingProps {
  readonly names: Names;
  readonly scaling: Config['scaling'];
  readonly service: GatewayService;
  readonly loadBalancer: ApplicationLoadBalancer;
  readonly targetGroup: ApplicationTargetGroup;
}

/** The load balancer counts a stream twice: from the client, and to the task. */
export const CONNECTIONS_PER_STREAM = 2;

/** Two target-tracking policies; ECS follows the one that wants more tasks. */
export class Scaling extends Construct {
  constructor(scope: Construct, id: string, props: ScalingProps) {
    super(scope, id);
    const { names, scaling } = props;
    // Without a role: AWS uses its own service-linked one, and ignores any other.
    const target = new CfnScalableTarget(this, 'Target', {
      serviceNamespace: 'ecs',
      resourceId: `service/${names.cluster}/${names.service}`,
      scalableDimension: 'ecs:service:DesiredCount',
      minCapacity: scaling.minTasks,
      maxCapacity: scaling.maxTasks,
    });
    target.node.addDependency(props.service.service);
    const common = {
      targetValue: scaling.cpuPercent,
      disableScaleIn: false,
      scaleInCooldown: scaling.scaleInCooldownSeconds,
      scaleOutCooldown: scaling.scaleOutCooldownSeconds,
    };
    new CfnScalingPolicy(this, 'Cpu', {
      policyName: `${names.service}-cpu`,
      policyType: 'TargetTrackingScaling',
      scalingTargetId: target.ref,
      targetTrackingScalingPolicyConfiguration: {
        ...common,
        predefinedMetricSpecification: { predefinedMetricType: 'ECSServiceAverageCPUUtilization' },
      },
    });
    new CfnScalingPolicy(this, 'Streams', {
      policyName: `${names.service}-streams`,
      policyType: 'TargetTrackingScaling',
      scalingTargetId: target.ref,
      targetTrackingScalingPolicyConfiguration: {
        ...common,
        targetValue: scaling.streamsPerTask * CONNECTIONS_PER_STREAM,
        customizedMetricSpecification: { metrics: connectionsPerTask(props) },
      },
    });
  }
}

/**
 * Open connections for each healthy task, as an expression: target tracking needs a number that falls when tasks are
 * added, and the load balancer only has the sum.
 */
function connectionsPerTask({ loadBalancer, targetGroup }: ScalingProps): CfnScalingPolicy.TargetTrackingMetricDataQueryProperty[] {
  const balancer = { name: 'LoadBalancer', value: loadBalancer.loadBalancerFullName };
  const group = { name: 'TargetGroup', value: targetGroup.targetGroupFullName };
  const metric = (id: string, metricName: string, stat: string, dimensions: { name: string; value: string }[]) => ({
    id,
    returnData: false,
    metricStat: { stat, metric: { namespace: 'AWS/ApplicationELB', metricName, dimensions } },
  });
  return [
    metric('connections', 'ActiveConnectionCount', 'Sum', [balancer]),
    metric('tasks', 'HealthyHostCount', 'Average', [balancer, group]),
    { id: 'each', label: 'connections for each task', returnData: true, expression: 'connections / tasks' },
  ];
}
