// Production: two tasks or more in two zones, private, behind a firewall, with everything protected.

import type { ConfigInput } from './schema.ts';

export const production: ConfigInput = {
  environment: 'production',
  region: 'us-east-1',
  domain: {
    host: 'mcp.example.com',
    certificate: { kind: 'new' },
    dns: { kind: 'hosted-zone', zoneId: 'Z0000PRODUCTION', zoneName: 'example.com' },
  },
  network: {
    vpc: { kind: 'new-private', cidr: '10.10.0.0/16', natGateways: 2 },
    zones: ['us-east-1a', 'us-east-1b'],
  },
  scaling: { minTasks: 2, maxTasks: 6 },
  protection: { waf: true },
  retention: { logDays: 30, accessLogDays: 90 },
  google: { clientId: '100000000000-production.apps.googleusercontent.com', allowedDomain: 'example.com' },
  alarms: { emails: ['mcp-oncall@example.com'] },
  github: { repository: 'example/mcp-gateway', repositoryId: '100000000', createProvider: false },
};
