// The settings of the gateway that the stacks set, from the rest of the configuration.

/** Set here and nowhere else, so that an environment cannot contradict itself. */
export const OWNED_SETTINGS: ReadonlySet<string> = new Set([
  'PUBLIC_URL',
  'HOST',
  'PORT',
  'PEER_PORT',
  'STORE',
  'SESSIONS_TABLE',
  'TOKENS_TABLE',
  'KMS_KEY_ARN',
  'ALLOWED_DOMAIN',
  'ALLOWED_ORIGINS',
  'GOOGLE_CLIENT_ID',
  'GOOGLE_CLIENT_SECRET',
  'SESSION_SECRET',
  'SESSION_SECRET_PREVIOUS',
  'ADMINS',
  'UPSTREAMS',
]);
