// The network: a VPC (new or existing) and two security groups that know only each other.

import { Tags } from 'aws-cdk-lib';
import {
  FlowLogDestination,
  GatewayVpcEndpointAwsService,
  IpAddresses,
  Peer,
  Port,
  SecurityGroup,
  SubnetType,
  Vpc,
  type IVpc,
  type SubnetSelection,
} from 'aws-cdk-lib/aws-ec2';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';

import type { Config } from '../../config/schema.ts';
import { PORTS } from '../names.ts';

/** What differs between environments. */
export interface NetworkProps {
  readonly name: string;
  readonly network: Config['network'];
  /** Where flow logs go. */
  readonly logsBucket: IBucket;
}

/** Where things are and who may talk to whom. */
export class Network extends Construct {
  readonly vpc: IVpc;
  readonly taskSubnets: SubnetSelection;
  readonly assignPublicIp: boolean;
  readonly loadBalancerGroup: SecurityGroup;
  readonly taskGroup: SecurityGroup;

  constructor(scope: Construct, id: string, props: NetworkProps) {
    super(scope, id);
    const { vpc } = props.network;
    this.vpc = vpc.kind === 'existing' ? existing(this, vpc, props.network.zones) : created(this, props);
    this.taskSubnets = { subnetType: vpc.kind === 'new-public' ? SubnetType.PUBLIC : SubnetType.PRIVATE_WITH_EGRESS };
    this.assignPublicIp = vpc.kind === 'new-public' || (vpc.kind === 'existing' && vpc.assignPublicIp);
    this.loadBalancerGroup = this.group('LoadBalancerGroup', `${props.name}-alb`, 'The load balancer of the MCP gateway');
    this.taskGroup = this.group('TaskGroup', `${props.name}-task`, 'The tasks of the MCP gateway');
    this.allow(props.network);
  }

  private group(id: string, securityGroupName: string, description: string): SecurityGroup {
    return new SecurityGroup(this, id, {
      vpc: this.vpc,
      securityGroupName,
      description,
      allowAllOutbound: false,
      disableInlineRules: false,
    });
  }

  /** In: clients to the load balancer, the load balancer to tasks, tasks to each other. Out: only what is listed. */
  private allow(network: Config['network']): void {
    for (const cidr of network.ingressCidrs) {
      this.loadBalancerGroup.addIngressRule(Peer.ipv4(cidr), Port.tcp(443), 'clients');
      this.loadBalancerGroup.addIngressRule(Peer.ipv4(cidr), Port.tcp(80), 'browsers, to be sent to 443');
    }
    this.loadBalancerGroup.addEgressRule(this.taskGroup, Port.tcp(PORTS.http), 'requests to tasks');
    this.taskGroup.addIngressRule(this.loadBalancerGroup, Port.tcp(PORTS.http), 'requests from the load balancer');
    this.taskGroup.addIngressRule(this.taskGroup, Port.tcp(PORTS.peer), 'messages between tasks');
    this.taskGroup.addEgressRule(this.taskGroup, Port.tcp(PORTS.peer), 'messages between tasks');
    for (const port of network.egressPorts) {
      this.taskGroup.addEgressRule(Peer.anyIpv4(), Port.tcp(port), 'Google, AWS and upstreams');
    }
  }
}

function created(scope: Construct, props: NetworkProps): IVpc {
  const { vpc: wanted, zones, flowLogs } = props.network;
  if (wanted.kind === 'existing') throw new Error('an existing VPC is not created');
  const isPrivate = wanted.kind === 'new-private';
  const vpc = new Vpc(scope, 'Vpc', {
    vpcName: props.name,
    ipAddresses: IpAddresses.cidr(wanted.cidr),
    availabilityZones: [...zones],
    natGateways: isPrivate ? wanted.natGateways : 0,
    restrictDefaultSecurityGroup: false,
    subnetConfiguration: [
      { name: 'public', subnetType: SubnetType.PUBLIC, cidrMask: 24, mapPublicIpOnLaunch: false },
      ...(isPrivate ? [{ name: 'task', subnetType: SubnetType.PRIVATE_WITH_EGRESS, cidrMask: 20 }] : []),
    ],
    // Free of charge, and traffic of tables and image layers does not pass the NAT gateway.
    gatewayEndpoints: {
      Tables: { service: GatewayVpcEndpointAwsService.DYNAMODB },
      Layers: { service: GatewayVpcEndpointAwsService.S3 },
    },
  });
  if (flowLogs) {
    vpc.addFlowLog('FlowLog', { destination: FlowLogDestination.toS3(props.logsBucket, 'flow-logs') });
  }
  Tags.of(vpc).add('Name', props.name);
  return vpc;
}

type ExistingVpc = Extract<Config['network']['vpc'], { kind: 'existing' }>;

function existing(scope: Construct, vpc: ExistingVpc, zones: readonly string[]): IVpc {
  return Vpc.fromVpcAttributes(scope, 'Vpc', {
    vpcId: vpc.id,
    availabilityZones: [...zones],
    publicSubnetIds: vpc.publicSubnetIds,
    privateSubnetIds: vpc.taskSubnetIds,
  });
}
