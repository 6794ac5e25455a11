// Many real clients at once, calling at a steady rate, with everything noted that happened to each call.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { openAgent } from '../support/agents.mjs';
import { until } from '../support/processes.mjs';

/**
 * Opens `count` clients, of all kinds in turn, for two people in turn. Those of one person share its login, as windows of
 * one program do.
 */
export async function openAgents(stage, count, options = {}) {
  const agents = [];
  for (let index = 0; index < count; index += 1) {
    const login = stage.login(index % 2 === 0 ? 'ana' : 'ben');
    agents.push(await openAgent(stage.kinds[index % stage.kinds.length], stage.mcp, login, { relistens: true, ...options }));
  }
  await everyStream(agents);
  return agents;
}

/** Waits until every client has the stream that it waits on; fails with those that have none, and how they last asked for it. */
export async function everyStream(agents) {
  const without = () => agents.filter(({ wire }) => wire.open === 0);
  await until('every stream', async () => without().length === 0).catch(() => {
    const lost = without().map(({ kind, wire }) => {
      const { at, status, error } = wire.requests.findLast(({ method, rpc }) => method === 'GET' || rpc === 'subscriptions/listen') ?? {};
      return `${kind}, which last asked for it at ${at && new Date(at).toISOString()} and got ${status ?? error}`;
    });
    throw new Error(`a client has no stream: ${lost.join('; ')}`);
  });
}

export const closeAll = (agents) => Promise.all(agents.map((agent) => agent.close().catch(() => {})));

const ALWAYS_13 = 13;
/** How long a client waits for an answer. The SDKs wait for a minute, which nobody here has to. */
const PATIENCE = { timeout: 20_000 };

/** What a client may do; each is a call with a result that can be judged. */
const WORK = {
  list: async (agent) => {
    const names = await agent.names();
    if (names.filter((name) => !name.startsWith('test_') || name === 'test_auth').length !== ALWAYS_13) {
      throw new Error(`the list has ${names.length} names: ${names}`);
    }
  },
  whoami: async (agent) => {
    const { email } = await agent.call('whoami', {}, PATIENCE);
    if (email !== agent.login.email) throw new Error(`${agent.login.email} was told to be ${email}`);
  },
  mail: (agent) => agent.call('gmail_list', { maxResults: 3 }, PATIENCE),
  write: (agent, call) => agent.run('test_write', { key: call.key, ms: 0 }, PATIENCE),
  // Its reports on the way make it a stream in the modern era, and end the wait of its POST on HTTP+SSE.
  slow: (agent, call) => agent.run('test_slow', { key: call.key, ms: call.slowMs, steps: 2 }, { ...PATIENCE, onprogress() {} }),
  'slow write': (agent, call) => agent.run('test_write', { key: call.key, ms: call.slowMs }, PATIENCE),
};

/** Waits for the stream of a client of HTTP+SSE: a host asks nothing of a transport that lost its connection. */
async function connected(agent) {
  if (agent.kind.includes('HTTP+SSE')) await until('the stream of the client', async () => agent.wire.connected);
}

/**
 * Calls at `perSecond` until `stop`. `calls` are all that were made: `{ work, agent, at, ms, error }`. `connectedOnly`:
 * nothing is asked by a client whose stream broke off.
 */
export class Load {
  calls = [];
  #going = true;
  #open = new Set();

  constructor(agents, { perSecond, work = Object.keys(WORK), slowMs = 2_500, connectedOnly = false }) {
    this.agents = agents;
    this.work = work;
    this.slowMs = slowMs;
    this.connectedOnly = connectedOnly;
    this.running = this.#run(1_000 / perSecond);
  }

  async #run(pauseMs) {
    const began = Date.now();
    for (let turn = 0; this.#going; turn += 1) {
      const agent = this.agents[turn % this.agents.length];
      const call = this.#call(agent, this.work[Math.floor(turn / this.agents.length + turn) % this.work.length]);
      this.#open.add(call);
      call.finally(() => this.#open.delete(call));
      await sleep(Math.max(0, began + (turn + 1) * pauseMs - Date.now()));
    }
    await Promise.all(this.#open);
  }

  async #call(agent, work) {
    const call = { work, kind: agent.kind, agent, at: Date.now(), key: randomUUID(), slowMs: this.slowMs };
    this.calls.push(call);
    try {
      if (this.connectedOnly) await connected(agent);
      call.at = Date.now();
      await WORK[work](agent, call);
    } catch (error) {
      call.error = String(error.message ?? error);
    }
    call.ms = Date.now() - call.at;
  }

  /** Waits for what is under way. */
  async stop() {
    this.#going = false;
    await this.running;
    return this.calls;
  }

  get failed() { return this.calls.filter(({ error }) => error).map(shown); }
}

/** A call as it is shown in a failure. */
export const shown = ({ work, kind, at, ms, error }) => ({ work, kind, at: new Date(at).toISOString(), ms, error });

/** Keys that were written more than once, and those of finished calls that were not written at all. */
export function effects(stage, calls) {
  const counts = new Map();
  for (const { key } of stage.logged('test tool writes')) counts.set(key, (counts.get(key) ?? 0) + 1);
  const written = calls.filter(({ work }) => work.includes('write'));
  return {
    twice: [...counts].filter(([, count]) => count > 1).map(([key]) => key),
    lost: written.filter(({ key, error }) => !error && !counts.has(key)).map(shown),
    written: written.length,
  };
}
