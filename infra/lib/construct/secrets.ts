// The two secrets of the gateway. Their values are never in a template, a parameter or an output.

import type { IKey } from 'aws-cdk-lib/aws-kms';
import { CfnSecret, Secret, type ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';

import { removalPolicy } from './removal.ts';

/** What differs between environments. */
export interface GatewaySecretsProps {
  readonly googleName: string;
  readonly sessionName: string;
  readonly key: IKey;
  readonly retain: boolean;
}

/** `google-oauth` waits for its value; `session-secret` is made here. */
export class GatewaySecrets extends Construct {
  readonly google: ISecret;
  readonly session: ISecret;

  constructor(scope: Construct, id: string, props: GatewaySecretsProps) {
    super(scope, id);
    const session = new Secret(this, 'Session', {
      secretName: props.sessionName,
      description: 'SESSION_SECRET of the gateway: what its keys are derived from',
      encryptionKey: props.key,
      generateSecretString: { passwordLength: 64, excludePunctuation: true },
      removalPolicy: removalPolicy(props.retain),
    });
    this.session = this.reference('SessionReference', (session.node.defaultChild as CfnSecret).attrId);
    this.google = this.reference('GoogleReference', this.withoutValue(props).attrId);
  }

  /**
   * By `Id`, which is the ARN on emulators as well. Without its key, so that no grant writes into the key's policy:
   * `TaskRoles` says who may read.
   */
  private reference(id: string, secretCompleteArn: string): ISecret {
    return Secret.fromSecretAttributes(this, id, { secretCompleteArn });
  }

  /**
   * A secret without a version, which the L2 construct cannot make: it would invent a value, the gateway would
   * start with it, and every login would fail. Without a value no task starts, and ECS says which secret it is.
   */
  private withoutValue(props: GatewaySecretsProps): CfnSecret {
    const secret = new CfnSecret(this, 'Google', {
      name: props.googleName,
      description: 'GOOGLE_CLIENT_SECRET of the gateway: the secret of its OAuth client',
      kmsKeyId: props.key.keyArn,
    });
    secret.applyRemovalPolicy(removalPolicy(props.retain));
    return secret;
  }
}
