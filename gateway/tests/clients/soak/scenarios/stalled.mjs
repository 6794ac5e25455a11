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
/** Connections that ask for answers: few, so that the limit of calls per person is not met. */
const FEEDERS = 4;

export default {
  name: 'a hundred stalled readers',
  proves: 'T46',
  required: '100 stalled readers and a fast producer: bounded memory, the stalled are cut with a reason within 60 s, p99 of others '
    + 'below 1.2 x what it is while all read',
  tasks: 1,
  short: { count: 8, rounds: 12, noiseMs: 250 },
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
    const open = (way) => Promise.all(Array.from({ length: count }, () => openReader(way, task, token)));
    const attentive = await open(task);
    const bare = resident();
    const calm = await pings(task, token, feed(task, token, attentive, rounds));
    const served = () => attentive.filter(({ taken }) => taken() > rounds * ANSWER).length;
    await until('the last answers', async () => served() === count).catch(() => {});
    const taken = served();
    findings.check(`${taken} of ${count} got everything while they read`, taken === count);
    for (const { connection } of attentive) connection.close();
    const readers = await open(rig);
    let peak = bare;
    const watch = setInterval(() => { peak = Math.max(peak, resident()); }, 50);
    const began = Date.now();
    const busy = await pings(task, token, feed(task, token, readers, rounds));
    const cut = () => stage.logged('stream disconnected').filter(({ reason }) => reason === 'slow_reader');
    await until('every stalled reader is cut', async () => cut().length >= count, [], 70_000).catch(() => {});
    clearInterval(watch);
    findings.check(`${cut().length} of ${count} stalled readers cut, reason \`slow_reader\`, within ${Date.now() - began} ms`,
      cut().length === count && Date.now() - began <= 60_000);
    const each = (peak - bare) / count;
    findings.check(`${each.toFixed(1)} MiB of memory for each at the peak`, each <= BOUND_MIB);
    findings.check(`others: ${spread(calm)} while all read, ${spread(busy)} while a hundred do not`,
      percentile(busy, 0.99) <= Math.max(1.2 * percentile(calm, 0.99), noiseMs));
    findings.none('ends of the stream of somebody who reads', agent.wire.waiting.filter(({ ended }) => ended));
    for (const { connection } of readers) connection.close();
    await agent.close();
    await rig.stop();
    return findings;
  },
};

/** A stream of the HTTP+SSE transport on a way to the task; its answers come on it, whoever asks. */
async function openReader(way, task, token) {
  const connection = new Connection(way);
  const headers = { host: `127.0.0.1:${task.port}`, authorization: `Bearer ${token}`, accept: 'text/event-stream' };
  let text = '';
  let bytes = 0;
  connection.ondata = (data) => {
    bytes += data.length;
    if (text.length < 1_000) text += data;
  };
  await connection.request('GET', '/mcp', headers, '', { stream: true });
  const endpoint = await until('the endpoint', async () => /^data: (\/\S+)$/m.exec(text)?.[1]);
  return { connection, endpoint, taken: () => bytes };
}

/** Asks for large answers on every reader's stream, round by round. */
async function feed(task, token, readers, rounds) {
  const call = message('tools/call', { name: 'test_slow', arguments: { ms: 0, steps: 0, bytes: ANSWER } });
  const gone = new Set();
  const share = async (_, feeder) => {
    const connection = new Connection(task);
    for (let round = 0; round < rounds; round += 1) {
      for (const reader of readers.filter((one, index) => index % FEEDERS === feeder && !gone.has(one))) {
        const { status } = await connection.request('POST', reader.endpoint, posting(token), call);
        // The stream is cut, and its session has nowhere to answer to.
        if (status !== 202) gone.add(reader);
      }
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: FEEDERS }, share));
}

/** How long pings take while `work` is done. */
async function pings(task, token, work) {
  const connection = new Connection(task);
  const took = [];
  let done = false;
  const end = work.then(() => { done = true; });
  for (; !done; await sleep(10)) {
    const began = performance.now();
    await connection.request('POST', '/mcp', posting(token), message('ping'));
    took.push(performance.now() - began);
  }
  await end;
  connection.close();
  return took;
}
