// Ten thousand streams in one process, and half of them gone at once.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { openAgent } from '../../support/agents.mjs';
import { until } from '../../support/processes.mjs';
import { Connection, startSession, streaming } from '../../support/raw.mjs';
import { Findings, spread } from '../figures.mjs';

/** Streams that are being opened at one time, before anything is measured. */
const OPENING = 200;
const BACK_MS = 10_000;

export default {
  name: 'ten thousand idle streams',
  proves: 'S6 S7 S10 T45 T49',
  required: '10,000 idle streams in one process for 10 minutes without a drop; 5,000 cut at once are back within 10 s with at most '
    + '2 store requests each; an idle task reads the store at most once a second',
  tasks: 1,
  short: { streams: 2_000, holdMs: 10_000 },
  real: { streams: 10_000, holdMs: 600_000 },
  async run(stage, { streams: count, holdMs }) {
    const findings = new Findings();
    const [task] = stage.tasks;
    const resident = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${task.pid}/status`, 'utf8'))[1]);
    const agent = await openAgent('SDK 1.32.2, Streamable HTTP', stage.mcp, stage.login());
    const { access_token: token } = stage.login().tokens();
    const sessions = await manySessions(task, token, count / 50);
    const bare = resident();
    const streams = new Streams(task, (index) => streaming(token, sessions[index % sessions.length]));
    await streams.open(count);
    findings.check(`${streams.live} streams open, ${((resident() - bare) / count).toFixed(1)} KiB of resident memory each`, streams.live === count);
    const before = stage.store.total;
    const bytes = streams.bytes;
    await sleep(holdMs);
    findings.check(`${count - streams.live} dropped in ${holdMs / 1_000} s`, streams.live === count);
    const reads = (stage.store.total - before) / (holdMs / 1_000);
    // Heartbeats are writes; everything that is asked counts here, at the pace of the stage.
    findings.check(`${(reads * stage.scale).toFixed(2)} store requests per second of the design`, reads * stage.scale <= 1);
    findings.measured.push(`${((streams.bytes - bytes) / count / (holdMs / 1_000) * stage.scale).toFixed(2)} bytes/s per stream`);
    await herd(findings, stage, streams, count / 2);
    const { activeConnections } = await (await fetch(`${task.url}/health`)).json();
    streams.close();
    await until('the end of all', async () => (await (await fetch(`${task.url}/health`)).json()).activeConnections < 20);
    findings.check(`${activeConnections} connections counted with ${count} streams`, activeConnections >= count && activeConnections < count + 20);
    await agent.close();
    return findings;
  },
};

async function manySessions(task, token, count) {
  const connection = new Connection(task);
  const sessions = [];
  for (let index = 0; index < count; index += 1) sessions.push(await startSession(connection, token));
  connection.close();
  return sessions;
}

async function herd(findings, stage, streams, count) {
  const before = stage.store.total;
  const began = Date.now();
  const { back, failed } = await streams.cutAndReopen(count);
  const each = (stage.store.total - before) / count;
  findings.check(`${back.length} of ${count} streams that were cut at once are back: ${spread(back)}`,
    back.length === count && Math.max(...back) <= BACK_MS);
  findings.none('of them failed', failed);
  findings.check(`${each.toFixed(3)} store requests for each of them`, each <= 2);
  findings.measured.push(`the herd took ${Date.now() - began} ms`);
}

/** Raw streams to one task, one connection each. */
class Streams {
  #all = [];
  bytes = 0;

  constructor(task, headers) {
    this.task = task;
    this.headers = headers;
  }

  get live() { return this.#all.filter((connection) => connection && !connection.closed).length; }

  async #one(index) {
    const connection = new Connection(this.task);
    connection.ondata = (data) => { this.bytes += data.length; };
    const { status } = await connection.request('GET', '/mcp', this.headers(index), '', { stream: true });
    if (status !== 200) throw new Error(`stream ${index}: ${status}`);
    this.#all[index] = connection;
  }

  async open(count) {
    for (let at = 0; at < count; at += OPENING) {
      await Promise.all(Array.from({ length: Math.min(OPENING, count - at) }, (_, index) => this.#one(at + index)));
    }
  }

  /** Cuts the first `count` and opens them all again at the same moment; how long each took. */
  async cutAndReopen(count) {
    for (const connection of this.#all.slice(0, count)) connection.close();
    const began = Date.now();
    const times = await Promise.allSettled(Array.from({ length: count }, async (_, index) => {
      await this.#one(index);
      return Date.now() - began;
    }));
    return {
      back: times.filter(({ status }) => status === 'fulfilled').map(({ value }) => value),
      failed: times.filter(({ status }) => status === 'rejected').map(({ reason }) => String(reason)),
    };
  }

  close() {
    for (const connection of this.#all) connection?.close();
  }
}
