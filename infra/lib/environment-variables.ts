// What a task finds in its environment: plain settings, and references to secrets.

import { Secret as ContainerSecret } from 'aws-cdk-lib/aws-ecs';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';

import type { Config } from '../config/schema.ts';
import { PORTS, type Names } from './names.ts';

/** Plain settings. No secret is ever among them; `rules/gateway-checks.ts` looks. */
export function plainSettings(config: Config, names: Names, keyArn: string): Record<string, string> {
  const { google, gateway, domain } = config;
  return {
    PUBLIC_URL: `https://${domain.host}`,
    HOST: '0.0.0.0',
    PORT: String(PORTS.http),
    PEER_PORT: String(PORTS.peer),
    STORE: 'dynamodb',
    SESSIONS_TABLE: names.tables.sessions,
    TOKENS_TABLE: names.tables.tokens,
    KMS_KEY_ARN: keyArn,
    ALLOWED_DOMAIN: google.allowedDomain,
    GOOGLE_CLIENT_ID: google.clientId,
    ...(gateway.allowedOrigins.length > 0 ? { ALLOWED_ORIGINS: gateway.allowedOrigins.join(',') } : {}),
    ...(gateway.admins.length > 0 ? { ADMINS: gateway.admins.join(',') } : {}),
    ...gateway.settings,
    ...emulatorSettings(config),
  };
}

/** The emulators take any key; an environment in an account never gets here (`config/unsafe.ts`). */
function emulatorSettings({ emulated, region }: Config): Record<string, string> {
  if (emulated === undefined) return {};
  return {
    AWS_ENDPOINT_URL: emulated.endpoint,
    DYNAMODB_ENDPOINT: emulated.endpoint,
    KMS_ENDPOINT: emulated.endpoint,
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: 'emulated',
    AWS_SECRET_ACCESS_KEY: 'emulated',
  };
}

/** A secret as a task refers to it: by name, and optionally by the stage of a version. */
export interface SecretSetting {
  readonly setting: string;
  readonly secret: string;
  readonly stage: string | undefined;
}

/** The secrets of an environment. During a rotation the previous version opens what it sealed. */
export function secretSettings(config: Config, names: Names): SecretSetting[] {
  const settings: SecretSetting[] = [
    { setting: 'GOOGLE_CLIENT_SECRET', secret: names.secrets.google, stage: undefined },
    { setting: 'SESSION_SECRET', secret: names.secrets.session, stage: undefined },
  ];
  if (config.gateway.rotateSessionSecret) {
    settings.push({ setting: 'SESSION_SECRET_PREVIOUS', secret: names.secrets.session, stage: 'AWSPREVIOUS' });
  }
  return settings;
}

/** The same as ECS takes them. */
export function containerSecrets(
  settings: readonly SecretSetting[],
  byName: Readonly<Record<string, ISecret>>,
): Record<string, ContainerSecret> {
  const entries = settings.map(({ setting, secret, stage }) => {
    const found = byName[secret];
    if (found === undefined) throw new Error(`there is no secret \`${secret}\``);
    const reference = stage
      ? ContainerSecret.fromSecretsManagerVersion(found, { versionStage: stage })
      : ContainerSecret.fromSecretsManager(found);
    return [setting, reference] as const;
  });
  return Object.fromEntries(entries);
}
