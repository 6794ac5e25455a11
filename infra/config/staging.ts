// Staging: one task, no protection that gets in the way of rebuilding it.

import type { ConfigInput } from './schema.ts';

export const staging: ConfigInput = {
  environment: 'staging',
  region: 'us-east-1',
  domain: {
    host: 'mcp.staging.example.com',
    certificate: { kind: 'new' },
    dns: { kind: 'hosted-zone', zoneId: 'Z0000000STAGING', zoneName: 'staging.example.com' },
  },
  network: { vpc: { kind: 'new-public', cidr: '10.20.0.0/16' }, zones: ['us-east-1a', 'us-east-1b'] },
  scaling: { minTasks: 1, maxTasks: 2 },
  google: { clientId: '100000000000-staging.apps.googleusercontent.com', allowedDomain: 'example.com' },
  alarms: { emails: ['mcp-staging@example.com'] },
  github: { repository: 'example/mcp-gateway', repositoryId: '100000000' },
};
