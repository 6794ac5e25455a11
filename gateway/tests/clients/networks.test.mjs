// Every kind of client on every kind of network: idle for long, cut off, and served as if nothing had been (T1 T2 T15).
//
// Time runs 30 times as fast, for the gateway and for the networks.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { KINDS, openAgent } from './support/agents.mjs';
import { Login } from './support/login.mjs';
import { until } from './support/processes.mjs';
import { NETWORKS, startProxy } from './support/rigs/index.mjs';
import { startStack } from './support/stack.mjs';
import { assertThirteen } from './support/tools.mjs';

const SCALE = 1 / 30;
const login = new Login('ana@example.com');

let gateway;
let stack;
before(async () => {
  // A second before a call turns slow, as this machine is not 30 times as fast.
  stack = await startStack({ TIME_SCALE: String(SCALE), SLOW_AFTER: '30000' });
  ({ gateway } = stack);
  await (await openAgent('SDK 1.32.2, Streamable HTTP', gateway.mcp, login)).close();
});
after(() => stack?.stop());

/** A network in front of the gateway, and a way to open clients in it; both end with the test. */
async function network(t, start) {
  const rig = await start({ port: gateway.port });
  const agents = [];
  t.after(async () => {
    await Promise.all(agents.map((agent) => agent.close()));
    await rig.stop();
  });
  const open = async (kind) => {
    const agent = await openAgent(kind, gateway.mcp, login, { rig });
    agents.push(agent);
    return agent;
  };
  return { rig, open };
}

/** Whether the network lets a stream live that carries a comment now and then. */
const livable = (network) => network !== 'a buffering proxy that knows no exception';

describe('idle for 330 s', { concurrency: true }, () => {
  for (const name of Object.keys(NETWORKS)) {
    test(`behind ${name}`, async (t) => {
      const { open } = await network(t, (target) => NETWORKS[name](target, SCALE));
      // A stream that never begins cannot be waited for: who needs one to connect has no life there.
      const kinds = Object.keys(KINDS).filter((kind) => livable(name) || !/HTTP\+SSE|modern/.test(kind));
      const agents = [];
      for (const kind of kinds) agents.push(await open(kind));
      if (livable(name)) await until('every stream', async () => agents.every(({ wire }) => wire.open === 1));
      const before = agents.map(({ wire }) => wire.requests.length);
      await sleep(330_000 * SCALE);
      agents.forEach(({ kind, wire, errors }, index) => {
        assert.deepEqual(wire.requests.slice(before[index]), [], `${kind} asked for nothing meanwhile`);
        if (livable(name)) assert.deepEqual([wire.open, errors], [1, []], `${kind}'s stream lives`);
      });
      for (const agent of agents) {
        const { session } = agent;
        const { messages } = await agent.call('gmail_list', { maxResults: 3 });
        assert.ok(messages.length > 0, agent.kind);
        assert.equal(agent.session, session, 'the same session');
        assert.deepEqual(agent.wire.answered(401, 404, 503), [], agent.kind);
      }
      assert.equal(login.logins, 1);
    });
  }
});

describe('every connection is lost at once', { concurrency: true }, () => {
  for (const loss of ['cut', 'reset']) {
    for (const kind of Object.keys(KINDS)) {
      test(`${loss}: ${kind} is served at once, and its stream is back after one reconnect`, async (t) => {
        const { rig, open } = await network(t, startProxy);
        const agent = await open(kind);
        await until('the stream', async () => agent.wire.open === 1);
        const before = agent.wire.waiting.length;
        assert.ok(rig[loss]() >= 1);
        await until('the client notices', async () => agent.wire.open === 0);
        if (KINDS[kind].listens) {
          assert.deepEqual(await until('the end of the listen', async () => agent.listens.length && agent.listens), ['remote']);
          await agent.listen();
        }
        // HTTP+SSE cannot be asked anything before its stream is back.
        if (kind.includes('HTTP+SSE')) await until('the stream', async () => agent.wire.open === 1);
        const { messages } = await agent.call('gmail_list', { maxResults: 3 });
        assert.ok(messages.length > 0);
        await assertThirteen(agent.client);
        await until('the stream again', async () => agent.wire.open === 1);
        assert.equal(agent.wire.waiting.length, before + 1, 'one reconnect');
        assert.deepEqual(agent.wire.answered(401, 404, 503), []);
        assert.equal(login.logins, 1);
      });
    }
  }
});

test('a stream that is lost takes no call with it that is under way on another connection', async (t) => {
  let getLink;
  const { open } = await network(t, (target) => startProxy(target, (link) => ({
    up(chunk) {
      if (chunk.subarray(0, 4).toString('latin1') === 'GET ') getLink = link;
      link.toServer(chunk);
    },
  })));
  const agent = await open('SDK 1.32.2, Streamable HTTP');
  await until('the stream', async () => agent.wire.open === 1);
  await fetch(`${stack.google.url}/_emulator/faults`, {
    method: 'POST',
    body: JSON.stringify({ match: { pathPrefix: '/calendar/' }, fault: { kind: 'delay', ms: 600 }, times: 1 }),
  });
  const call = agent.call('calendar_list_events', {});
  await sleep(200);
  getLink.reset();
  await until('the stream is lost', async () => agent.wire.open === 0);
  assert.ok(Array.isArray((await call).events));
  await until('the stream is back', async () => agent.wire.open === 1);
});
