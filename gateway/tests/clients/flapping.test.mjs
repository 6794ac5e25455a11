// A client whose streams end at once is asked to wait, longer each time; one whose streams live is not (T14).

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { openAgent } from './support/agents.mjs';
import { Login } from './support/login.mjs';
import { until } from './support/processes.mjs';
import { startProxy } from './support/rigs/index.mjs';
import { startStack } from './support/stack.mjs';

const CUTS = 6;
/** What a client of each kind is asked to wait anyway, and after each of the cuts, in seconds. */
const WAITS = {
  'SDK 1.32.2, Streamable HTTP': [2, 2, 2, 2, 2, 4, 8],
  'client 2.4.0, legacy era': [2, 2, 2, 2, 2, 4, 8],
  'SDK 1.32.2, HTTP+SSE': [4, 4, 4, 4, 4, 4, 8],
};

const login = new Login('ana@example.com');
/** What a stream asked its client to wait last, in seconds. */
const asked = ({ retries }) => retries.at(-1)?.ms / 1_000;

let stack;
let calm;
before(async () => {
  // A life is short below four intervals, which are four seconds here.
  stack = await startStack({ SSE_KEEPALIVE_INTERVAL: '1000' });
  calm = await openAgent('SDK 1.32.2, Streamable HTTP', stack.gateway.mcp, login);
});
after(async () => {
  await calm?.close();
  await stack?.stop();
});

describe('a client whose streams end at once', { concurrency: true }, () => {
  for (const [kind, waits] of Object.entries(WAITS)) {
    test(`${kind}: waits longer each time, until a stream lives`, async (t) => {
      const rig = await startProxy({ port: stack.gateway.port });
      const agent = await openAgent(kind, stack.gateway.mcp, login, { rig });
      t.after(async () => {
        await agent.close();
        await rig.stop();
      });
      const { wire } = agent;
      for (let cuts = 0; cuts <= CUTS; cuts += 1) {
        await until('the stream, with what it asks for', async () => wire.open === 1 && asked(wire.waiting.at(-1)) > 0);
        if (cuts === CUTS) break;
        rig.cut();
        await until('its end', async () => wire.open === 0);
      }
      assert.deepEqual(wire.waiting.map(asked), waits);
      const gap = (index) => wire.waiting[index].opened - wire.waiting[index - 1].ended;
      for (let index = 1; index <= CUTS; index += 1) {
        const wait = waits[index - 1] * 1_000;
        assert.ok(gap(index) >= wait - 100 && gap(index) < wait + 1_500, `${gap(index)} ms instead of ${wait} ms`);
      }
      await until('a stream that lives takes it back', async () => asked(wire.waiting.at(-1)) === waits[0]);
    });
  }
});

test('a client whose stream lives beside them is asked for nothing', () => {
  assert.deepEqual([calm.wire.waiting.map(asked), calm.wire.open, calm.errors], [[2], 1, []]);
});
