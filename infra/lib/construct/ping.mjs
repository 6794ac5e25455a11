// Asks the public URL what an MCP client asks first; AWS Lambda runs this file as it is.

const DEADLINE_MS = 10_000;

async function ask(path, init) {
  const response = await fetch(new URL(path, process.env.PUBLIC_URL), { ...init, redirect: 'manual', signal: AbortSignal.timeout(DEADLINE_MS) });
  return { response, body: await response.text() };
}

const checks = {
  health: async () => {
    const { response } = await ask('/health');
    if (response.status !== 200) throw new Error(`/health answers ${response.status}`);
  },
  challenge: async () => {
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
    const { response } = await ask('/mcp', { method: 'POST', headers, body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' });
    if (response.status !== 401) throw new Error(`/mcp answers ${response.status} without a token`);
    const challenge = response.headers.get('www-authenticate') ?? '';
    if (!challenge.includes('resource_metadata=')) throw new Error('the challenge of /mcp names no metadata');
  },
  metadata: async () => {
    const { response, body } = await ask('/.well-known/oauth-authorization-server');
    if (response.status !== 200) throw new Error(`the login metadata answers ${response.status}`);
    const { issuer } = JSON.parse(body);
    if (issuer !== process.env.PUBLIC_URL) throw new Error(`the issuer is ${issuer}`);
  },
};

export async function handler() {
  const failures = [];
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
    } catch (error) {
      failures.push(`${name}: ${error.message}${error.cause ? ` (${error.cause.message})` : ''}`);
    }
  }
  if (failures.length > 0) throw new Error(failures.join('; '));
  return { checks: Object.keys(checks).length };
}
