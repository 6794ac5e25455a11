// The image registry: a tag never changes its meaning, and a release is never expired.

import { Duration } from 'aws-cdk-lib';
import { Repository, TagMutability, TagStatus } from 'aws-cdk-lib/aws-ecr';
import { Construct } from 'constructs';

import { removalPolicy } from './removal.ts';

/** What differs between environments. */
export interface GatewayRepositoryProps {
  readonly repositoryName: string;
  readonly retain: boolean;
}

/** Days until an image without any tag goes: it was pushed by a run that broke off. */
export const UNTAGGED_DAYS = 14;

/**
 * No rule touches an image that has a tag, whatever its age: ECR does not know which images run or are needed for a
 * rollback. A release is a few megabytes, so a thousand of them cost less than a dollar a month.
 */
export class GatewayRepository extends Construct {
  readonly repository: Repository;

  constructor(scope: Construct, id: string, props: GatewayRepositoryProps) {
    super(scope, id);
    this.repository = new Repository(this, 'Repository', {
      repositoryName: props.repositoryName,
      imageTagMutability: TagMutability.IMMUTABLE,
      imageScanOnPush: true,
      removalPolicy: removalPolicy(props.retain),
      emptyOnDelete: !props.retain,
      lifecycleRules: [
        {
          rulePriority: 1,
          description: 'images of runs that broke off',
          tagStatus: TagStatus.UNTAGGED,
          maxImageAge: Duration.days(UNTAGGED_DAYS),
        },
      ],
    });
  }
}
