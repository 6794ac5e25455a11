// The store throttles, is slow, or is gone; people who are known go on working.

import { setTimeout as sleep } from 'node:timers/promises';

import { openAgent } from '../../support/agents.mjs';
import { Login } from '../../support/login.mjs';
import { Findings, spread } from '../figures.mjs';
import { Load, closeAll, openAgents } from '../load.mjs';

/** The work of a known user that needs no slow call. */
const WORK = ['list', 'whoami', 'mail', 'write'];

const FAULTS = [
  { name: '30 % throttled', set: { throttled: 0.3 }, errors: 0.001 },
  { name: '2 s slower', set: { delayMs: 2_000 }, errors: 0.01 },
  { name: 'gone', set: { gone: true }, errors: 0 },
];

export default {
  name: 'a store in trouble',
  proves: 'T51 S9',
  required: 'store at 30 % throttling: under 0.1 % errors; 2 s latency: under 1 %; gone for 5 minutes: calls of known users work; '
    + 'nothing burnt or lost; recovery unaided',
  short: { ms: 6_000, perSecond: 15 },
  real: { ms: 300_000, perSecond: 10 },
  async run(stage, { ms, perSecond }) {
    const findings = new Findings();
    const agents = await openAgents(stage, 8);
    await Promise.all(agents.map((agent) => agent.call('gmail_list', { maxResults: 1 })));
    for (const { name, set, errors } of FAULTS) {
      Object.assign(stage.store, { throttled: 0, delayMs: 0, gone: false }, set);
      const load = new Load(agents, { perSecond, work: WORK });
      await sleep(ms);
      const calls = await load.stop();
      const share = load.failed.length / calls.length;
      findings.check(`${name}: ${load.failed.length} of ${calls.length} calls failed`, share <= errors);
      if (share > errors) findings.failures.push(...load.failed.slice(0, 3).map((call) => `  ${JSON.stringify(call)}`));
      findings.measured.push(`${name}: ${spread(calls.map((call) => call.ms))}`);
    }
    Object.assign(stage.store, { throttled: 0, delayMs: 0, gone: false });
    const began = Date.now();
    const login = new Login('ben@example.com');
    for (;;) {
      const fresh = await openAgent('SDK 1.32.2, Streamable HTTP', stage.mcp, login).catch(() => undefined);
      if (fresh || Date.now() - began > 30_000) {
        findings.check(`a new login ${Date.now() - began} ms after the store was back`, Boolean(fresh));
        await fresh?.close();
        break;
      }
      await sleep(500);
    }
    const open = agents.filter(({ wire }) => wire.open >= 1).length;
    findings.check(`${open} of ${agents.length} streams are open`, open === agents.length);
    findings.check(`${stage.login('ana').logins} login each`, ['ana', 'ben'].every((name) => stage.login(name).logins === 1));
    await closeAll(agents);
    return findings;
  },
};
