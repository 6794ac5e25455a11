// Everything that must survive: tables, key, secrets, logs in S3. No other stack has state.

import { CfnOutput } from 'aws-cdk-lib';
import type { Table } from 'aws-cdk-lib/aws-dynamodb';
import type { Key } from 'aws-cdk-lib/aws-kms';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';

import { LogsBucket } from '../construct/logs-bucket.ts';
import { MasterKey } from '../construct/master-key.ts';
import { GatewaySecrets } from '../construct/secrets.ts';
import { GatewayTable } from '../construct/table.ts';
import { EnvironmentStack, type EnvironmentProps } from './environment.ts';

/** State of the gateway. */
export class DataStack extends EnvironmentStack {
  readonly key: Key;
  readonly sessions: Table;
  readonly tokens: Table;
  readonly secrets: GatewaySecrets;
  readonly logsBucket: Bucket;

  constructor(scope: Construct, props: EnvironmentProps) {
    super(scope, 'data', 'MCP gateway: tables, key, secrets', props);
    const { protection, retention } = props.config;
    const retain = protection.deletion;
    this.key = new MasterKey(this, 'MasterKey', {
      alias: this.names.keyAlias,
      logGroupName: this.names.logGroup,
      retain,
    }).key;
    const table = (id: string, tableName: string) =>
      new GatewayTable(this, id, {
        tableName,
        key: this.key,
        deletionProtection: protection.deletion,
        pointInTimeRecoveryDays: protection.pointInTimeRecoveryDays,
      }).table;
    this.sessions = table('Sessions', this.names.tables.sessions);
    this.tokens = table('Tokens', this.names.tables.tokens);
    this.secrets = new GatewaySecrets(this, 'Secrets', {
      googleName: this.names.secrets.google,
      sessionName: this.names.secrets.session,
      key: this.key,
      retain,
    });
    this.logsBucket = new LogsBucket(this, 'TrafficLogs', {
      loadBalancer: this.names.loadBalancer,
      days: retention.accessLogDays,
      retain,
    }).bucket;
    new CfnOutput(this, 'KeyArn', { value: this.key.keyArn });
    new CfnOutput(this, 'GoogleSecretArn', { value: this.secrets.google.secretArn });
    new CfnOutput(this, 'SessionSecretArn', { value: this.secrets.session.secretArn });
  }
}
