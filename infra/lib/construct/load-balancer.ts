// The load balancer with its two listeners: TLS only, and nothing is forwarded that was not asked of our host.

import { Duration } from 'aws-cdk-lib';
import type { ICertificate } from 'aws-cdk-lib/aws-certificatemanager';
import { SubnetType } from 'aws-cdk-lib/aws-ec2';
import {
  ApplicationLoadBalancer,
  ApplicationProtocol,
  ApplicationProtocolVersion,
  ApplicationTargetGroup,
  DesyncMitigationMode,
  ListenerAction,
  ListenerCondition,
  Protocol,
  SslPolicy,
  TargetGroupLoadBalancingAlgorithmType,
  TargetType,
  type ApplicationListener,
} from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { ARecord, RecordTarget, type IHostedZone } from 'aws-cdk-lib/aws-route53';
import { LoadBalancerTarget } from 'aws-cdk-lib/aws-route53-targets';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';

import type { Config } from '../../config/schema.ts';
import { PORTS } from '../names.ts';
import { ACCESS_LOGS } from './logs-bucket.ts';
import type { Network } from './network.ts';

/** What differs between environments. */
export interface LoadBalancerProps {
  readonly name: string;
  readonly config: Config;
  readonly network: Network;
  readonly certificate: ICertificate;
  readonly zone: IHostedZone | undefined;
  readonly logsBucket: IBucket;
}

/** TLS 1.2 and 1.3 with forward secrecy only, and a post-quantum key exchange for who can. */
export const TLS_POLICY = SslPolicy.TLS13_12_RES_PQ;

/** The path of the health check; it depends on nothing but the process. */
export const HEALTH_PATH = '/health';

/** Client side of the service: addresses, listeners, target group. */
export class LoadBalancer extends Construct {
  readonly loadBalancer: ApplicationLoadBalancer;
  readonly https: ApplicationListener;
  readonly targetGroup: ApplicationTargetGroup;

  constructor(scope: Construct, id: string, props: LoadBalancerProps) {
    super(scope, id);
    this.loadBalancer = this.createLoadBalancer(props);
    this.targetGroup = this.createTargetGroup(props);
    this.https = this.createListeners(props);
    if (props.zone) {
      new ARecord(this, 'Address', {
        zone: props.zone,
        recordName: props.config.domain.host,
        target: RecordTarget.fromAlias(new LoadBalancerTarget(this.loadBalancer)),
      });
    }
  }

  private createLoadBalancer({ name, config, network, logsBucket }: LoadBalancerProps): ApplicationLoadBalancer {
    const loadBalancer = new ApplicationLoadBalancer(this, 'LoadBalancer', {
      loadBalancerName: name,
      vpc: network.vpc,
      vpcSubnets: { subnetType: config.network.scheme === 'internal' ? SubnetType.PRIVATE_WITH_EGRESS : SubnetType.PUBLIC },
      internetFacing: config.network.scheme === 'internet-facing',
      securityGroup: network.loadBalancerGroup,
      idleTimeout: Duration.seconds(config.timeouts.idleTimeoutSeconds),
      clientKeepAlive: Duration.seconds(config.timeouts.clientKeepAliveSeconds),
      deletionProtection: config.protection.deletion,
      dropInvalidHeaderFields: true,
      desyncMitigationMode: DesyncMitigationMode.STRICTEST,
      http2Enabled: true,
    });
    if (config.retention.accessLogs) {
      loadBalancer.setAttribute('access_logs.s3.enabled', 'true');
      loadBalancer.setAttribute('access_logs.s3.bucket', logsBucket.bucketName);
      loadBalancer.setAttribute('access_logs.s3.prefix', ACCESS_LOGS);
    }
    return loadBalancer;
  }

  private createTargetGroup({ config, network }: LoadBalancerProps): ApplicationTargetGroup {
    const { health, timeouts } = config;
    return new ApplicationTargetGroup(this, 'TargetGroup', {
      vpc: network.vpc,
      targetType: TargetType.IP,
      protocol: ApplicationProtocol.HTTP,
      protocolVersion: ApplicationProtocolVersion.HTTP1,
      port: PORTS.http,
      deregistrationDelay: Duration.seconds(timeouts.deregistrationDelaySeconds),
      stickinessCookieDuration: Duration.seconds(timeouts.stickinessSeconds),
      // Not by outstanding requests: an open stream is one, so a fresh task would get every new call for hours.
      loadBalancingAlgorithmType: TargetGroupLoadBalancingAlgorithmType.ROUND_ROBIN,
      healthCheck: {
        protocol: Protocol.HTTP,
        path: HEALTH_PATH,
        interval: Duration.seconds(health.intervalSeconds),
        timeout: Duration.seconds(health.timeoutSeconds),
        healthyThresholdCount: health.healthyThreshold,
        unhealthyThresholdCount: health.unhealthyThreshold,
        healthyHttpCodes: '200',
      },
    });
  }

  /** The default is 503, never 404: MCP clients take a 404 for the end of their session. */
  private createListeners({ certificate, config }: LoadBalancerProps): ApplicationListener {
    this.loadBalancer.addListener('Http', {
      protocol: ApplicationProtocol.HTTP,
      port: 80,
      open: false,
      defaultAction: ListenerAction.redirect({ protocol: 'HTTPS', port: '443', permanent: true }),
    });
    const https = this.loadBalancer.addListener('Https', {
      protocol: ApplicationProtocol.HTTPS,
      port: 443,
      open: false,
      certificates: [certificate],
      sslPolicy: TLS_POLICY,
      defaultAction: ListenerAction.fixedResponse(503, { contentType: 'text/plain', messageBody: 'unknown host\n' }),
    });
    https.addAction('Host', {
      priority: 10,
      conditions: [ListenerCondition.hostHeaders([config.domain.host])],
      action: ListenerAction.forward([this.targetGroup]),
    });
    return https;
  }
}
