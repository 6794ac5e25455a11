// A hundred clients that stopped reading, while there is much to say to them.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { openAgent } from '../../support/agents.mjs';
import { until } from '../../support/processes.mjs';
import { Connection, message, posting } from '../../support/raw.mjs';
import { startSlowReader } from '../../support/rigs/index.mjs';
import { Findings, percentile, spread } from '../figures.mjs';

/** What one answer weighs, and the most that may wait for one reader: 4 MiB, and the answer in hand with its copies. */
const ANSWER = 1 << 20;
const BOUND_MIB = 8;
export default {
  name: 'a hundred stalled readers',
  proves: 'T46',
  required: '100 stalled readers and a fast producer: bounded memory, the stalled are cut with a reason within 60 s, p99 of others below 1.2 x',
  tasks: 1,
  // A debug build needs most of its time for writing so much JSON, and others wait for that.
  short: { count: 8, rounds: 12, noiseMs: 1_000 },
  real: { count: 100, rounds: 12, noiseMs: 50 },
  /** `noiseMs`: below this a difference is that of a shared machine. */
  async run(stage, { count, rounds, noiseMs }) {
    const findings = new Findings();
    const [task] = stage.tasks;
    const rig = await startSlowReader(task, { bytesPerSecond: 0, first: 2_000 });
    const agent = await openAgent('SDK 1.32.2, Streamable HTTP', stage.mcp, stage.login());
    const { access_token: token } = stage.login().tokens();
    const resident = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${task.pid}/status`, 'utf8'))[1]) / 1_024;
    await until('the stream', async () => agent.wire.open === 1);
    const calm = await pings(task, token, 2_000);
    const readers = await Promise.all(Array.from({ length: count }, () => openReader(rig, token)));
    const bare = resident();
    let peak = bare;
    const watch = setInterval(() => { peak = Math.max(peak, resident()); }, 50);
    const began = Date.now();
    const [busy] = await Promise.all([pings(task, token, 5_000), feed(task, token, readers, rounds)]);
    const cut = () => stage.logged('stream disconnected').filter(({ reason }) => reason === 'slow_reader');
    await until('every stalled reader is cut', async () => cut().length >= count, [], 70_000).catch(() => {});
    clearInterval(watch);
    findings.check(`${cut().length} of ${count} stalled readers cut, reason \`slow_reader\`, within ${Date.now() - began} ms`,
      cut().length === count && Date.now() - began <= 60_000);
    const each = (peak - bare) / count;
    findings.check(`${each.toFixed(1)} MiB of memory for each at the peak`, each <= BOUND_MIB);
    findings.check(`others: ${spread(calm)} before, ${spread(busy)} meanwhile`,
      percentile(busy, 0.99) <= Math.max(1.2 * percentile(calm, 0.99), noiseMs));
    findings.none('ends of the stream of somebody who reads', agent.wire.waiting.filter(({ ended }) => ended));
    for (const { connection } of readers) connection.close();
    await agent.close();
    await rig.stop();
    return findings;
  },
};

/** A stream of the HTTP+SSE transport behind the rig; its answers come on it, whoever asks. */
async function openReader(rig, token) {
  const connection = new Connection(rig);
  const { port } = rig.target;
  const headers = { host: `127.0.0.1:${port}`, authorization: `Bearer ${token}`, accept: 'text/event-stream' };
  let text = '';
  connection.ondata = (data) => { text += data; };
  await connection.request('GET', '/mcp', headers, '', { stream: true });
  const endpoint = await until('the endpoint', async () => /^data: (\S+)$/m.exec(text)?.[1]);
  return { connection, endpoint };
}

/** Asks for large answers on every reader's stream. */
async function feed(task, token, readers, rounds) {
  const call = message('tools/call', { name: 'test_slow', arguments: { ms: 0, steps: 0, bytes: ANSWER } });
  await Promise.all(readers.map(async ({ endpoint }) => {
    const connection = new Connection(task);
    for (let round = 0; round < rounds; round += 1) {
      const { status } = await connection.request('POST', endpoint, posting(token), call);
      // The stream is cut, and its session has nowhere to answer to.
      if (status !== 202) break;
    }
    connection.close();
  }));
}

/** How long pings take, for `ms`. */
async function pings(task, token, ms) {
  const connection = new Connection(task);
  const took = [];
  for (const end = Date.now() + ms; Date.now() < end; await sleep(10)) {
    const began = performance.now();
    await connection.request('POST', '/mcp', posting(token), message('ping'));
    took.push(performance.now() - began);
  }
  connection.close();
  return took;
}
