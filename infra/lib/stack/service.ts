// What serves: network, load balancer, roles, the shape of a task, the service and its scaling. No state.

import { CfnOutput, CfnParameter } from 'aws-cdk-lib';
import type { Alarm } from 'aws-cdk-lib/aws-cloudwatch';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';

import { HostCertificate } from '../construct/certificate.ts';
import { DeploymentAlarms, deploymentAlarmNames } from '../construct/deployment-alarms.ts';
import { Firewall } from '../construct/firewall.ts';
import { LoadBalancer } from '../construct/load-balancer.ts';
import { Network } from '../construct/network.ts';
import { removalPolicy } from '../construct/removal.ts';
import { TaskRoles } from '../construct/roles.ts';
import { Scaling } from '../construct/scaling.ts';
import { GatewayService } from '../construct/service.ts';
import { GatewayTask } from '../construct/task-definition.ts';
import { containerSecrets, plainSettings, secretSettings } from '../environment-variables.ts';
import type { DataStack } from './data.ts';
import { EnvironmentStack, type EnvironmentProps } from './environment.ts';
import type { RegistryStack } from './registry.ts';

/** The stacks that this one stands on. */
export interface ServiceStackProps extends EnvironmentProps {
  readonly registry: RegistryStack;
  readonly data: DataStack;
}

/** The running gateway. */
export class ServiceStack extends EnvironmentStack {
  readonly balancer: LoadBalancer;
  readonly certificate: HostCertificate;
  readonly deploymentAlarms: readonly Alarm[];
  private readonly network: Network;
  private readonly task: GatewayTask;
  private readonly roles: TaskRoles;

  constructor(scope: Construct, props: ServiceStackProps) {
    super(scope, 'service', 'MCP gateway: network, load balancer, service', props);
    const { config, data, registry } = props;
    this.network = new Network(this, 'Network', { name: this.names.prefix, network: config.network, logsBucket: data.logsBucket });
    this.certificate = new HostCertificate(this, 'HostCertificate', { domain: config.domain });
    this.balancer = this.createBalancer(data);
    const logGroup = this.createLogGroup(data);
    this.roles = new TaskRoles(this, 'Roles', {
      names: this.names,
      tables: [data.sessions, data.tokens],
      key: data.key,
      secrets: [data.secrets.google, data.secrets.session],
      logGroup,
      repository: registry.repository,
    });
    this.task = this.createTask(data, registry, logGroup);
    this.deploymentAlarms = new DeploymentAlarms(this, 'DeploymentAlarms', { names: this.names, ...this.balancer }).alarms;
    this.createService();
    this.publish();
  }

  private createBalancer(data: DataStack): LoadBalancer {
    const balancer = new LoadBalancer(this, 'Balancer', {
      name: this.names.loadBalancer,
      config: this.config,
      network: this.network,
      certificate: this.certificate.certificate,
      zone: this.certificate.zone,
      logsBucket: data.logsBucket,
    });
    if (this.config.protection.waf) {
      new Firewall(this, 'Firewall', {
        name: this.names.firewall,
        loadBalancerArn: balancer.loadBalancer.loadBalancerArn,
        requestsPerFiveMinutes: this.config.protection.wafRequestsPerFiveMinutes,
      });
    }
    return balancer;
  }

  private createLogGroup(data: DataStack): LogGroup {
    return new LogGroup(this, 'Logs', {
      logGroupName: this.names.logGroup,
      retention: this.config.retention.logDays,
      encryptionKey: data.key,
      removalPolicy: removalPolicy(this.config.protection.deletion),
    });
  }

  private createTask(data: DataStack, registry: RegistryStack, logGroup: LogGroup): GatewayTask {
    const { config, names } = this;
    const secrets = { [names.secrets.google]: data.secrets.google, [names.secrets.session]: data.secrets.session };
    return new GatewayTask(this, 'Task', {
      names,
      config,
      roles: this.roles,
      logGroup,
      repositoryUri: config.emulated ? `${config.emulated.registry}/${names.repository}` : registry.repository.repositoryUri,
      imageDigest: this.imageDigest(),
      environment: plainSettings(config, names, data.key.keyArn),
      secrets: containerSecrets(secretSettings(config, names), secrets),
    });
  }

  /**
   * The digest of the released image is read from where the release tool keeps it, at every deploy of this stack. So
   * also a deploy by hand, without any argument, describes the image that runs and reverts nothing.
   */
  private imageDigest(): string {
    return new CfnParameter(this, 'ImageDigest', {
      type: 'AWS::SSM::Parameter::Value<String>',
      default: this.names.parameters.imageDigest,
      description: 'Name of the parameter with the digest (sha256:...) of the released image',
    }).valueAsString;
  }

  private createService(): void {
    const { names, config, network, task } = this;
    const service = new GatewayService(this, 'Gateway', {
      names,
      config,
      network,
      task,
      targetGroup: this.balancer.targetGroup,
      deploymentAlarms: deploymentAlarmNames(names),
    });
    // Secrets and images are read as soon as a task starts.
    service.service.node.addDependency(this.roles, this.balancer.https, ...this.deploymentAlarms);
    new Scaling(this, 'Scaling', { names, scaling: config.scaling, service, ...this.balancer });
  }

  private publish(): void {
    const { loadBalancer, targetGroup } = this.balancer;
    const outputs = {
      LoadBalancerDnsName: loadBalancer.loadBalancerDnsName,
      LoadBalancerArn: loadBalancer.loadBalancerArn,
      TargetGroupArn: targetGroup.targetGroupArn,
      CertificateArn: this.certificate.certificate.certificateArn,
      LoadBalancerSecurityGroupId: this.network.loadBalancerGroup.securityGroupId,
      TaskSecurityGroupId: this.network.taskGroup.securityGroupId,
      TaskSubnetIds: this.network.vpc.selectSubnets(this.network.taskSubnets).subnetIds.join(','),
      TaskDefinitionArn: this.task.definition.taskDefinitionArn,
      TaskDefinitionShape: this.task.shape(),
    };
    for (const [id, value] of Object.entries(outputs)) new CfnOutput(this, id, { value });
  }
}
