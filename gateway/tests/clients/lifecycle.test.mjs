// The process itself: start-up output, bad settings, health, stop with streams open, Google out of reach.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { Login, connect } from './support/login.mjs';
import { freePort, start, stop, until } from './support/processes.mjs';
import { startGateway, startStack } from './support/stack.mjs';

const nowhere = { url: 'http://127.0.0.1:9', clientId: 'id', clientSecret: 'secret' };
const gatewayBin = process.env.GATEWAY_BIN ?? new URL('../../../target/debug/gateway', import.meta.url).pathname;

test('the first log lines name versions and every timeout in force', async () => {
  const gateway = await startGateway(nowhere, { LOG_LEVEL: 'info', REQUEST_TIMEOUT: '120000' });
  const lines = gateway.child.output.map((line) => JSON.parse(line));
  const flat = lines.map((line) => JSON.stringify(line)).join('\n');
  for (const word of ['git_sha', 'rmcp_version', 'SSE_KEEPALIVE_INTERVAL', 'KEEP_ALIVE_TIMEOUT', 'HEADER_TIMEOUT']) {
    assert.ok(flat.includes(word), word);
  }
  assert.match(flat, /REQUEST_TIMEOUT.*120000|120000.*REQUEST_TIMEOUT/);
  await gateway.stop();
});

test('with Google in a black hole it starts, is healthy, and lists its tools', async () => {
  const gateway = await startGateway(nowhere);
  const health = await (await fetch(`${gateway.url}/health`)).json();
  assert.equal(health.status, 'ok');
  assert.equal((await fetch(`${gateway.url}/health`, { method: 'HEAD' })).status, 200);
  const unauthorized = await fetch(gateway.mcp, { method: 'POST', body: '{}' });
  assert.equal(unauthorized.status, 401);
  await gateway.stop();
});

test('bad settings are reported all at once, by name, with exit 64', async () => {
  const child = start(gatewayBin, ['serve'], {
    env: { PORT: 'eighty', SSE_KEEPALIVE_INTERVAL: '99', SESSION_SECRET: 'tiny-7f3a', PUBLIC_URL: 'ftp://x' },
  });
  const { code } = await child.exited;
  const text = child.output.join('\n');
  assert.equal(code, 64, text);
  for (const name of ['PORT', 'SSE_KEEPALIVE_INTERVAL', 'SESSION_SECRET', 'PUBLIC_URL', 'GOOGLE_CLIENT_ID', 'ALLOWED_DOMAIN']) {
    assert.ok(text.includes(`\`${name}\``), `${name} in:\n${text}`);
  }
  assert.ok(!text.includes('tiny-7f3a'), 'a secret is never repeated');
});

test('a busy port is said in words', async () => {
  const gateway = await startGateway(nowhere);
  const child = start(gatewayBin, ['serve'], {
    env: {
      PORT: String(gateway.port), PUBLIC_URL: gateway.url, SESSION_SECRET: 'b2f81d0c97e64a35a1c0d87e6f2b94c3',
      GOOGLE_CLIENT_ID: 'a', GOOGLE_CLIENT_SECRET: 'b', ALLOWED_DOMAIN: 'example.com', DATA_DIR: `${gateway.data}-2`,
    },
  });
  const { code } = await child.exited;
  assert.equal(code, 1);
  assert.match(child.output.join('\n'), new RegExp(`cannot listen on \`127.0.0.1:${gateway.port}\``));
  await gateway.stop();
});

test('SIGTERM with 50 streams open closes the streams first and exits 0 within seconds', async () => {
  const stack = await startStack();
  const login = new Login(stack.google.users.find(({ email }) => email.startsWith('ana@')).email);
  const { client, transport } = await connect(
    () => new Client({ name: 'stop', version: '1' }),
    (authProvider) => new StreamableHTTPClientTransport(new URL(stack.gateway.mcp), { authProvider }),
    login,
  );
  const headers = {
    authorization: `Bearer ${login.tokens().access_token}`,
    accept: 'text/event-stream',
    'mcp-session-id': transport.sessionId,
  };
  const streams = await Promise.all(Array.from({ length: 50 }, () => fetch(stack.gateway.mcp, { headers })));
  const texts = streams.map((stream) => stream.text());
  const began = Date.now();
  const ended = await stack.stop();
  assert.deepEqual(ended, { code: 0, signal: null });
  assert.ok(Date.now() - began < 10_000);
  for (const text of await Promise.all(texts)) assert.match(text, /retry: \d+\n\n$/);
  await client.close();
  const lines = stack.gateway.child.printed.filter((line) => line.includes('stream disconnected'));
  const drained = lines.filter((line) => line.includes('"reason":"drain"'));
  assert.ok(drained.length >= 50, `${drained.length} ends of streams are logged as a drain`);
});

test('SIGTERM leaves the time of DRAIN_GRACE to whoever does not know yet, and the process ends soon after', async () => {
  const gateway = await startGateway(nowhere, { DRAIN_GRACE: '1500' });
  const { child, url } = gateway;
  const began = Date.now();
  child.kill('SIGTERM');
  const [ready] = await until('the stop', async () => {
    const answer = await fetch(`${url}/ready`);
    return answer.status === 503 && [answer];
  });
  assert.equal(ready.headers.get('connection'), 'close');
  let served = 0;
  while (Date.now() - began < 1200) {
    const health = await fetch(`${url}/health`);
    assert.equal((await health.json()).status, 'draining');
    assert.equal((await fetch(gateway.mcp, { method: 'POST', body: '{}' })).status, 401);
    served += 1;
  }
  assert.ok(served > 5, `${served} requests`);
  assert.deepEqual(await child.exited, { code: 0, signal: null });
  const took = Date.now() - began;
  assert.ok(took >= 1500 && took < 4000, `${took} ms`);
  await gateway.stop();
});

test('SIGINT, which comes from a terminal, does not wait for a load balancer', async () => {
  const gateway = await startGateway(nowhere, { DRAIN_GRACE: '20000' });
  const began = Date.now();
  gateway.child.kill('SIGINT');
  assert.deepEqual(await gateway.child.exited, { code: 0, signal: null });
  assert.ok(Date.now() - began < 3000, `${Date.now() - began} ms`);
  await gateway.stop();
});

test('a second signal ends the process at once, with 143', async () => {
  for (const second of ['SIGTERM', 'SIGINT']) {
    const gateway = await startGateway(nowhere, { DRAIN_GRACE: '20000' });
    const began = Date.now();
    gateway.child.kill('SIGTERM');
    await until('the stop', async () => (await fetch(`${gateway.url}/ready`)).status === 503);
    gateway.child.kill(second);
    assert.deepEqual(await gateway.child.exited, { code: 143, signal: null });
    assert.ok(Date.now() - began < 3000, `${Date.now() - began} ms`);
    assert.match(gateway.child.output.join('\n'), new RegExp(`second signal.*${second}|${second}.*second signal`));
    await gateway.stop();
  }
});

test('with fewer open files than MAX_CONNECTIONS needs it takes fewer connections, and says so', async (t) => {
  const port = await freePort();
  const data = await mkdtemp(join(tmpdir(), 'gateway-'));
  t.after(() => rm(data, { recursive: true }));
  const few = start('sh', ['-c', `ulimit -n 1000; exec "$0" serve`, gatewayBin], {
    env: {
      PORT: String(port), PUBLIC_URL: `http://127.0.0.1:${port}`, SESSION_SECRET: 'b2f81d0c97e64a35a1c0d87e6f2b94c3',
      GOOGLE_CLIENT_ID: 'a', GOOGLE_CLIENT_SECRET: 'b', ALLOWED_DOMAIN: 'example.com',
      DATA_DIR: data, DRAIN_GRACE: '0',
    },
  });
  await until('the gateway', async () => (await fetch(`http://127.0.0.1:${port}/health`)).ok, [few]);
  const warning = few.output.find((line) => line.includes('`MAX_CONNECTIONS` is `25000`'));
  assert.match(warning ?? '', /may have `1000` open files: it takes `488` connections.*ulimit -Hn/);
  assert.equal((await stop(few)).code, 0);
});

test('gateway health says whether the gateway on this machine answers', async () => {
  const gateway = await startGateway(nowhere);
  const env = {
    PORT: String(gateway.port), PUBLIC_URL: gateway.url, SESSION_SECRET: 'b2f81d0c97e64a35a1c0d87e6f2b94c3',
    GOOGLE_CLIENT_ID: 'a', GOOGLE_CLIENT_SECRET: 'b', ALLOWED_DOMAIN: 'example.com',
  };
  assert.equal((await start(gatewayBin, ['health'], { env }).exited).code, 0);
  const unused = String(await freePort());
  const down = start(gatewayBin, ['health'], { env: { ...env, PORT: unused, PUBLIC_URL: `http://127.0.0.1:${unused}` } });
  assert.equal((await down.exited).code, 1);
  await gateway.stop();
  await stop(gateway.child);
});

test('each of PORT, LOG_LEVEL and ALLOWED_ORIGINS, changed alone, changes what the gateway does', async () => {
  const ask = async ({ url, mcp, child, stop: end }, origin) => {
    await fetch(mcp, { method: 'POST', headers: { authorization: 'Bearer junk' }, body: '{}' });
    const preflight = await fetch(mcp, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } });
    await end();
    const levels = new Set(child.output.map((line) => JSON.parse(line).level));
    return { url, status: preflight.status, levels };
  };
  const origin = 'https://app.example.org';
  const base = await ask(await startGateway(nowhere, { LOG_LEVEL: 'info' }), origin);
  assert.equal(base.status, 403);
  assert.ok(base.levels.has('INFO') && !base.levels.has('DEBUG'), [...base.levels].join());

  const quiet = await ask(await startGateway(nowhere, { LOG_LEVEL: 'error' }), origin);
  assert.ok(!quiet.levels.has('INFO') && !quiet.levels.has('WARN'), [...quiet.levels].join());
  const talkative = await ask(await startGateway(nowhere, { LOG_LEVEL: 'debug' }), origin);
  assert.ok(talkative.levels.has('DEBUG'), [...talkative.levels].join());

  const open = await ask(await startGateway(nowhere, { LOG_LEVEL: 'info', ALLOWED_ORIGINS: 'https://*.example.org' }), origin);
  assert.equal(open.status, 204);

  const port = await freePort();
  const moved = await startGateway(nowhere, {}, port);
  assert.equal((await fetch(`http://127.0.0.1:${port}/health`)).status, 200);
  await moved.stop();
  await assert.rejects(fetch(`http://127.0.0.1:${port}/health`));
});
