// Local: the same stacks on emulators of this machine, where the tests deploy them.

import type { ConfigInput } from './schema.ts';

export const local: ConfigInput = {
  environment: 'local',
  region: 'us-east-1',
  domain: {
    host: 'mcp.local.example.com',
    certificate: { kind: 'new' },
    dns: { kind: 'hosted-zone', zoneId: 'Z000000000LOCAL', zoneName: 'local.example.com' },
  },
  network: { vpc: { kind: 'new-public', cidr: '10.30.0.0/16' }, zones: ['us-east-1a', 'us-east-1b'] },
  scaling: { minTasks: 2, maxTasks: 3 },
  protection: { deletion: false, waf: true },
  google: { clientId: '100000000000-local.apps.googleusercontent.com', allowedDomain: 'example.com' },
  github: { repository: 'example/mcp-gateway', repositoryId: '100000000' },
  // A name of loopback, because the gateway takes Google from there without TLS; the stage's DNS leads it to the emulator.
  gateway: { settings: { GOOGLE_ISSUER: 'http://google.localhost:4567', GOOGLE_API_BASE_URL: 'http://google.localhost:4567' } },
  emulated: { endpoint: 'http://10.66.0.1:4566', registry: '127.0.0.1:5001' },
};
