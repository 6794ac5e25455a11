// What one task began and another has to go on with: a result, an answer, a cancel.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';

import { openAgent } from '../../support/agents.mjs';
import { until } from '../../support/processes.mjs';
import { startProxy } from '../../support/rigs/index.mjs';
import { Findings, spread } from '../figures.mjs';

/** Only these resume: HTTP+SSE has no event ids, and the modern era repeats a call instead. */
const RESUMING = ['SDK 1.32.2, Streamable HTTP', 'client 2.4.0, legacy era'];

/** Opens a client behind a proxy of its own, runs `action`, and takes both away. */
async function withAgent(stage, kind, client, action) {
  const rig = await startProxy({ port: stage.port });
  const agent = await openAgent(kind, stage.mcp, stage.login(), { rig, client });
  try {
    return await action(agent, rig);
  } finally {
    await agent.close();
    await rig.stop();
  }
}

/** Does `action` for each kind so often, and notes its failures. */
async function each(findings, kinds, times, action) {
  const failures = [];
  for (const kind of kinds) {
    for (let turn = 0; turn < times; turn += 1) {
      await action(kind).catch((error) => failures.push({ kind, error: String(error) }));
    }
  }
  findings.none('of these failed', failures);
}

export const slowCall = {
  name: 'a slow call changes tasks',
  proves: 'D6 S4',
  required: 'a call of 20 s, cut at 5 s, delivers its result through the other task, and its work is done once',
  short: { ms: 6_000, cutMs: 2_500, times: 1 },
  real: { ms: 20_000, cutMs: 5_000, times: 5 },
  async run(stage, { ms, cutMs, times }) {
    const findings = new Findings();
    const late = [];
    await each(findings, RESUMING, times, (kind) => withAgent(stage, kind, {}, async (agent, rig) => {
      const key = randomUUID();
      const began = Date.now();
      const call = agent.run('test_write', { key, ms });
      // Looked at only below: a failure before that is not unhandled.
      call.catch(() => {});
      const owner = await stage.taskThatLogged(key);
      await sleep(began + cutMs - Date.now());
      await stage.without(owner, async () => {
        rig.cut();
        await call;
      });
      late.push(Date.now() - began - ms);
      const writes = stage.logged('test tool writes').filter((line) => line.key === key).length;
      if (writes !== 1) throw new Error(`the work was done ${writes} times`);
    }));
    findings.measured.push(`${late.length} results came through the other task, after the end of the work: ${spread(late)}`);
    findings.check('all of them', late.length === RESUMING.length * times);
    return findings;
  },
};

export const elicitation = {
  name: 'an answer reaches its owner',
  proves: 'S4',
  required: 'an elicitation answered at the other task reaches its owner in under 500 ms',
  short: { times: 3 },
  real: { times: 20 },
  async run(stage, { times }) {
    const findings = new Findings();
    const took = [];
    const capabilities = { elicitation: { form: {} } };
    await each(findings, RESUMING, times, (kind) => withAgent(stage, kind, { capabilities }, async (agent) => {
      const message = `question ${randomUUID()}`;
      let answered;
      let owner;
      agent.client.setRequestHandler(kind.startsWith('SDK') ? ElicitRequestSchema : 'elicitation/create', async () => {
        owner = await beginner(stage, 'test_elicit', before);
        await stage.balancer.deregister(owner.slot);
        answered = Date.now();
        return { action: 'accept', content: { answer: 'yes' } };
      });
      const before = stage.tasks.map((task) => begun(task, 'test_elicit'));
      try {
        const result = await agent.run('test_elicit', { message });
        took.push(Date.now() - answered);
        const text = result.content[0].text;
        if (!text.includes('yes')) throw new Error(`the tool got ${text}`);
      } finally {
        if (owner) await stage.balancer.restore(owner.slot);
      }
    }));
    findings.check(`${took.length} answers, from the answer to the tool's result: ${spread(took)}`, took.length > 0);
    findings.none('took 500 ms or longer', took.filter((ms) => ms >= 500));
    return findings;
  },
};

/** How many calls of a tool began on a task. */
const begun = ({ child }, tool) =>
  child.output.filter((line) => line.includes('test tool begins') && line.includes(`"tool":"${tool}"`)).length;

/** The task on which a call of `tool` began since `before`. */
const beginner = (stage, tool, before) => until(`the owner of ${tool}`, async () =>
  stage.tasks.find((task, index) => begun(task, tool) > before[index]));

export const cancel = {
  name: 'a cancel reaches its owner',
  proves: 'S4',
  required: 'a cancel at the other task stops the work within 1 s',
  short: { times: 2 },
  real: { times: 10 },
  async run(stage, { times }) {
    const findings = new Findings();
    const written = [];
    let cancelled = 0;
    let inTime = 0;
    await each(findings, RESUMING, times, (kind) => withAgent(stage, kind, {}, async (agent) => {
      const key = randomUUID();
      const abort = new AbortController();
      // It would write one second and a half after the cancel.
      const call = agent.run('test_write', { key, ms: 2_500 }, { signal: abort.signal });
      call.catch(() => {});
      const owner = await stage.taskThatLogged(key);
      const began = Date.parse(stage.logged('test tool begins').find((line) => line.key === key).timestamp);
      await sleep(1_000);
      let at;
      await stage.without(owner, async () => {
        at = Date.now();
        abort.abort();
        await call.catch(() => {});
        await sleep(2_000);
      });
      cancelled += 1;
      // A cancel that this machine sent too late shows nothing.
      inTime += Number(at - began < 1_500);
      const writes = stage.logged('test tool writes').filter((line) => line.key === key);
      written.push(...writes.filter(({ timestamp }) => Date.parse(timestamp) - at > 1_000));
    }));
    findings.check(`${cancelled} calls cancelled at the other task`, cancelled === RESUMING.length * times);
    findings.check(`${inTime} of them more than 1 s before their effect`, inTime * 2 > cancelled);
    findings.none('went on for longer than 1 s', written);
    return findings;
  },
};
