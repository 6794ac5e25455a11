// One DynamoDB table of the gateway: its rows end by themselves and cannot be lost by one command.

import { RemovalPolicy } from 'aws-cdk-lib';
import { AttributeType, BillingMode, Table, TableEncryption } from 'aws-cdk-lib/aws-dynamodb';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';

/** What differs between the two tables and between environments. */
export interface GatewayTableProps {
  readonly tableName: string;
  readonly key: IKey;
  readonly deletionProtection: boolean;
  readonly pointInTimeRecoveryDays: number;
}

/** The schema of both tables, as `docs/design/storage-schema.md` has it. */
export const SCHEMA = { partitionKey: 'pk', timeToLive: 'expires_at' } as const;

/** A table with one key attribute and no sort key. */
export class GatewayTable extends Construct {
  readonly table: Table;

  constructor(scope: Construct, id: string, props: GatewayTableProps) {
    super(scope, id);
    this.table = new Table(this, 'Table', {
      tableName: props.tableName,
      partitionKey: { name: SCHEMA.partitionKey, type: AttributeType.STRING },
      timeToLiveAttribute: SCHEMA.timeToLive,
      billingMode: BillingMode.PAY_PER_REQUEST,
      encryption: TableEncryption.CUSTOMER_MANAGED,
      encryptionKey: props.key,
      pointInTimeRecoverySpecification: {
        pointInTimeRecoveryEnabled: true,
        recoveryPeriodInDays: props.pointInTimeRecoveryDays,
      },
      deletionProtection: props.deletionProtection,
      // Also when its creation is taken back: CloudFormation cannot delete a protected table, and its stack would be stuck.
      removalPolicy: props.deletionProtection ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
  }
}
