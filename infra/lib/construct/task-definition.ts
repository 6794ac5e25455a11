// The shape of a task: what the release tool registers with each new image.

import { Duration, RemovalPolicy, Size, Stack } from 'aws-cdk-lib';
import {
  Capability,
  ContainerImage,
  CpuArchitecture,
  FargateTaskDefinition,
  LinuxParameters,
  LogDrivers,
  AwsLogDriverMode,
  OperatingSystemFamily,
  Secret as ContainerSecret,
  UlimitName,
  type CfnTaskDefinition,
  type ContainerDefinition,
} from 'aws-cdk-lib/aws-ecs';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';

import type { Config } from '../../config/schema.ts';
import { PORTS, type Names } from '../names.ts';
import type { TaskRoles } from './roles.ts';

/** What the shape is made of. */
export interface GatewayTaskProps {
  readonly names: Names;
  readonly config: Config;
  readonly roles: TaskRoles;
  readonly logGroup: ILogGroup;
  /** Without tag or digest. */
  readonly repositoryUri: string;
  /** `sha256:...` of the released image. */
  readonly imageDigest: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, ContainerSecret>>;
}

/** Anybody but root; the image has no user database. */
export const USER = '65532:65532';

/** Open files per task: each stream is one. */
export const OPEN_FILES = 65_535;

/** How the process in the image is started, and asked how it is. */
export const PROCESS = { entryPoint: ['/gateway'], command: ['serve'], health: ['CMD', '/gateway', 'health'] } as const;

/** What a container may keep of its log while CloudWatch does not take it. */
const LOG_BUFFER = Size.mebibytes(25);

/** A task definition that stays when it is replaced, because a rollback may need it. */
export class GatewayTask extends Construct {
  readonly definition: FargateTaskDefinition;
  readonly container: ContainerDefinition;
  private readonly props: GatewayTaskProps;

  constructor(scope: Construct, id: string, props: GatewayTaskProps) {
    super(scope, id);
    this.props = props;
    const { names, config, roles } = props;
    this.definition = new FargateTaskDefinition(this, 'Definition', {
      family: names.family,
      cpu: config.task.cpuUnits,
      memoryLimitMiB: config.task.memoryMiB,
      taskRole: roles.task.withoutPolicyUpdates(),
      executionRole: roles.execution.withoutPolicyUpdates(),
      runtimePlatform: {
        operatingSystemFamily: OperatingSystemFamily.LINUX,
        cpuArchitecture: CpuArchitecture.of(config.task.architecture),
      },
    });
    this.container = this.addContainer();
    const resource = this.definition.node.defaultChild as CfnTaskDefinition;
    resource.applyRemovalPolicy(RemovalPolicy.RETAIN);
  }

  private addContainer(): ContainerDefinition {
    const { names, config, logGroup, repositoryUri, imageDigest, environment, secrets } = this.props;
    const { health, timeouts } = config;
    const linuxParameters = new LinuxParameters(this, 'Linux', { initProcessEnabled: false });
    linuxParameters.dropCapabilities(Capability.ALL);
    const container = this.definition.addContainer(names.container, {
      image: ContainerImage.fromRegistry(`${repositoryUri}@${imageDigest}`),
      essential: true,
      entryPoint: [...PROCESS.entryPoint],
      command: [...PROCESS.command],
      user: USER,
      readonlyRootFilesystem: true,
      privileged: false,
      linuxParameters,
      stopTimeout: Duration.seconds(timeouts.stopTimeoutSeconds),
      environment: { ...environment },
      secrets: { ...secrets },
      portMappings: [
        { name: 'http', containerPort: PORTS.http },
        { name: 'peer', containerPort: PORTS.peer },
      ],
      healthCheck: {
        command: [...PROCESS.health],
        interval: Duration.seconds(health.intervalSeconds),
        timeout: Duration.seconds(health.timeoutSeconds),
        retries: health.unhealthyThreshold,
        startPeriod: Duration.seconds(health.graceSeconds),
      },
      // A full log buffer drops lines; blocking would stop every stream of the task.
      logging: LogDrivers.awsLogs({
        logGroup,
        streamPrefix: names.container,
        mode: AwsLogDriverMode.NON_BLOCKING,
        maxBufferSize: LOG_BUFFER,
      }),
    });
    container.addUlimits({ name: UlimitName.NOFILE, softLimit: OPEN_FILES, hardLimit: OPEN_FILES });
    return container;
  }

  /**
   * The input of `RegisterTaskDefinition` as JSON, resolved by CloudFormation. The release tool changes what follows
   * `@` in the image. Made from the resource itself, so that the two cannot differ.
   */
  shape(): string {
    const resource = this.definition.node.defaultChild as CfnTaskDefinition;
    const { networkMode, requiresCompatibilities, cpu, memory, taskRoleArn, executionRoleArn } = resource;
    const { runtimePlatform, containerDefinitions } = resource;
    return Stack.of(this).toJsonString({
      family: this.props.names.family,
      networkMode,
      requiresCompatibilities,
      cpu,
      memory,
      taskRoleArn,
      executionRoleArn,
      runtimePlatform,
      containerDefinitions,
    });
  }
}
