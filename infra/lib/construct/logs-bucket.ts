// The bucket of access logs and flow logs.

import { ArnFormat, Duration, Stack } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';

import { removalPolicy } from './removal.ts';

/** What differs between environments. */
export interface LogsBucketProps {
  /** Name of the load balancer that writes access logs. */
  readonly loadBalancer: string;
  readonly days: number;
  readonly retain: boolean;
}

/** Where a load balancer puts its access logs. */
export const ACCESS_LOGS = 'access-logs';

/** Encrypted by S3 itself: load balancers cannot write to a bucket with a key of its own. */
export class LogsBucket extends Construct {
  readonly bucket: Bucket;

  constructor(scope: Construct, id: string, props: LogsBucketProps) {
    super(scope, id);
    this.bucket = new Bucket(this, 'Bucket', {
      encryption: BucketEncryption.S3_MANAGED,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      versioned: true,
      lifecycleRules: [
        {
          expiration: Duration.days(props.days),
          noncurrentVersionExpiration: Duration.days(1),
          abortIncompleteMultipartUploadAfter: Duration.days(1),
        },
      ],
      removalPolicy: removalPolicy(props.retain),
    });
    this.bucket.addToResourcePolicy(this.accessLogs(props.loadBalancer));
  }

  /** By hand, because the construct library still names the account that AWS used for this in each region. */
  private accessLogs(loadBalancer: string): PolicyStatement {
    const stack = Stack.of(this);
    const writer = stack.formatArn({
      service: 'elasticloadbalancing',
      resource: 'loadbalancer',
      resourceName: `app/${loadBalancer}/*`,
      arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
    });
    return new PolicyStatement({
      sid: 'AccessLogs',
      principals: [new ServicePrincipal('logdelivery.elasticloadbalancing.amazonaws.com')],
      actions: ['s3:PutObject'],
      resources: [this.bucket.arnForObjects(`${ACCESS_LOGS}/AWSLogs/${stack.account}/*`)],
      conditions: { ArnLike: { 'aws:SourceArn': writer } },
    });
  }
}
