// Every name of an environment, in one place: stacks create them, `verify` looks them up.

/** The gateway's ports inside the network. */
export const PORTS = { http: 3000, peer: 3001 } as const;

/** The names of one environment. */
export type Names = ReturnType<typeof names>;

/** Fixed names, so that tools and people find things without asking CloudFormation first. */
export function names(environment: string) {
  const prefix = `mcp-gateway-${environment}`;
  return {
    prefix,
    stacks: {
      registry: `${prefix}-registry`,
      data: `${prefix}-data`,
      service: `${prefix}-service`,
      observability: `${prefix}-observability`,
      pipeline: `${prefix}-pipeline`,
    },
    repository: prefix,
    tables: { sessions: `${prefix}-sessions`, tokens: `${prefix}-tokens` },
    keyAlias: `alias/${prefix}`,
    secrets: { google: `${prefix}/google-oauth`, session: `${prefix}/session-secret` },
    cluster: prefix,
    service: prefix,
    family: prefix,
    container: 'gateway',
    loadBalancer: prefix,
    logGroup: `/mcp-gateway/${environment}`,
    roles: {
      task: `${prefix}-task`,
      execution: `${prefix}-execution`,
      plan: `${prefix}-ci-plan`,
      push: `${prefix}-ci-push`,
      deploy: `${prefix}-ci-deploy`,
    },
    firewall: prefix,
    dashboard: prefix,
    ping: `${prefix}-ping`,
    topic: `${prefix}-alarms`,
    metrics: `McpGateway/${environment}`,
    /** Where the release tool keeps its state; the digest is read by CloudFormation as well. */
    parameters: { prefix: `/mcp-gateway/${environment}`, imageDigest: `/mcp-gateway/${environment}/image-digest` },
    alarm: (what: string) => `${prefix}-${what}`,
  };
}
