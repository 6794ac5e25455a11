// The key that everything at rest is under: tables, secrets, logs, and the gateway's own envelopes.

import { ArnFormat, Duration, Stack } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';

import { removalPolicy } from './removal.ts';

/** What differs between environments. */
export interface MasterKeyProps {
  readonly alias: string;
  readonly logGroupName: string;
  readonly retain: boolean;
}

/** One key, because a gateway that has two has to be told which is which. */
export class MasterKey extends Construct {
  readonly key: Key;

  constructor(scope: Construct, id: string, props: MasterKeyProps) {
    super(scope, id);
    this.key = new Key(this, 'Key', {
      alias: props.alias,
      description: 'Everything that the MCP gateway keeps at rest',
      enableKeyRotation: true,
      rotationPeriod: Duration.days(365),
      pendingWindow: Duration.days(30),
      removalPolicy: removalPolicy(props.retain),
    });
    this.key.addToResourcePolicy(logsMayUseIt(this, props.logGroupName));
  }
}

/** CloudWatch Logs encrypts with the key itself, for this one log group only. */
function logsMayUseIt(scope: Construct, logGroupName: string): PolicyStatement {
  const stack = Stack.of(scope);
  const logGroup = stack.formatArn({
    service: 'logs',
    resource: 'log-group',
    resourceName: logGroupName,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
  return new PolicyStatement({
    sid: 'LogsOfTheGateway',
    principals: [new ServicePrincipal(`logs.${stack.region}.amazonaws.com`)],
    actions: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncryptFrom', 'kms:ReEncryptTo', 'kms:GenerateDataKey', 'kms:DescribeKey'],
    resources: ['*'],
    conditions: { ArnEquals: { 'kms:EncryptionContext:aws:logs:arn': logGroup } },
  });
}
