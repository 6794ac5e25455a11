// Two tasks behind a load balancer without cookies: what a client sees of a task that comes, goes, or is cut off.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { startCluster, trust } from './support/cluster.mjs';
import { Login, connect } from './support/login.mjs';
import { assertThirteen } from './support/tools.mjs';

let cluster;
before(async () => {
  cluster = await startCluster({
    tasks: 2, timeScale: 0.05, replace: true, args: ['--deregistration-delay', '60'],
  });
  trust(cluster.authority);
});
after(() => cluster?.down());

/** A client of SDK 1.32.2, logged in through the load balancer. */
async function logIn() {
  const login = new Login(cluster.google.users.find(({ email }) => email.startsWith('ana@')).email);
  const { client, transport } = await connect(
    () => new Client({ name: 'cluster', version: '1' }),
    (authProvider) => new StreamableHTTPClientTransport(new URL(cluster.mcp), { authProvider }),
    login,
  );
  return { login, client, transport };
}

async function whoami(client) {
  const result = await client.callTool({ name: 'whoami', arguments: {} });
  assert.equal(result.structuredContent?.email, 'ana@example.com', JSON.stringify(result));
}

/** How many of the POSTs so far each task has answered with 200. */
function answeredBySlot() {
  const counts = {};
  for (const { method, path, status, slot } of cluster.requests()) {
    if (method === 'POST' && path === '/mcp' && status === 200) counts[slot] = (counts[slot] ?? 0) + 1;
  }
  return counts;
}

test('50 calls of one session go to both tasks, and a killed task takes none of it along', async () => {
  const { client, login, transport } = await logIn();
  await assertThirteen(client);
  for (let call = 0; call < 25; call += 1) await whoami(client);
  const counts = answeredBySlot();
  assert.ok(counts.task1 > 5 && counts.task2 > 5, `both tasks answer: ${JSON.stringify(counts)}`);

  const session = transport.sessionId;
  const [victim] = await cluster.healthy();
  const { signal } = await cluster.kill(victim);
  assert.equal(signal, 9);
  await cluster.waitFor({ event: 'deregistered', task: victim });
  for (let call = 0; call < 25; call += 1) await whoami(client);
  await assertThirteen(client);
  assert.equal(transport.sessionId, session, 'the session is the same');
  assert.equal(login.logins, 1, 'and so is the login');

  const { task } = await cluster.waitFor({ event: 'replacing' });
  await cluster.waitFor({ event: 'healthy', task });
  await client.close();
});

/** The fewest healthy tasks at any moment after event number `since`. */
function fewestHealthy(since) {
  const healthy = new Set();
  let fewest = Infinity;
  for (const { seq, event, task } of cluster.events) {
    if (event === 'healthy') healthy.add(task);
    if (['unhealthy', 'draining', 'exited', 'cut'].includes(event)) healthy.delete(task);
    if (seq > since) fewest = Math.min(fewest, healthy.size);
  }
  return fewest;
}

test('a deployment replaces both tasks under load, and no call fails', async () => {
  const clients = [await logIn(), await logIn()];
  const mark = cluster.now;
  let rolling = true;
  let calls = 0;
  const load = clients.map(async ({ client }) => {
    while (rolling) {
      await whoami(client);
      calls += 1;
    }
  });
  const before = await cluster.healthy();
  const { exits, new: after } = await cluster.roll();
  rolling = false;
  await Promise.all(load);
  assert.ok(calls > 20, `${calls} calls`);
  assert.deepEqual(exits, before.map((task) => ({ task, code: 0, signal: null })));
  assert.deepEqual(await cluster.healthy(), after);
  assert.ok(fewestHealthy(mark) >= 2, 'there were always two healthy tasks');
  assert.deepEqual(clients.map(({ login }) => login.logins), [1, 1]);
  for (const { client } of clients) await client.close();
});

const root = process.getuid?.() === 0 && process.platform === 'linux';
test('a task that is cut off leaves the rotation, and is back when it is healed', {
  skip: !root && 'takes root on Linux',
}, async () => {
  const { client, login } = await logIn();
  const mark = cluster.now;
  const [cutOff, other] = await cluster.healthy();
  await cluster.cut(cutOff);
  await cluster.waitFor({ event: 'unhealthy', task: cutOff }, { since: mark });
  assert.deepEqual(await cluster.healthy(), [other]);
  for (let call = 0; call < 10; call += 1) await whoami(client);
  await cluster.heal(cutOff);
  const { seq } = cluster.events.find(({ event }) => event === 'unhealthy');
  await cluster.waitFor({ event: 'healthy', task: cutOff }, { since: seq });
  for (let call = 0; call < 10; call += 1) await whoami(client);
  assert.equal(login.logins, 1);
  assert.ok((await cluster.status()).tasks.every(({ cut }) => !cut));
  await client.close();
});

test('a cluster that ends stops its tasks in order, and soon', async () => {
  const running = await cluster.healthy();
  const mark = cluster.now;
  const began = Date.now();
  const { code } = await cluster.down({ keep: true });
  assert.equal(code, 0);
  assert.ok(Date.now() - began < 8_000, `${Date.now() - began} ms`);
  const ends = cluster.events.filter(({ seq, event }) => seq > mark && event === 'exited');
  assert.deepEqual(ends.map(({ task, code: ended }) => [task, ended]).sort(), running.map((task) => [task, 0]).sort());
});
