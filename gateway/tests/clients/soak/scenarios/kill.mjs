// A task dies without a word, at any moment, under load.

import { setTimeout as sleep } from 'node:timers/promises';

import { Findings, spread } from '../figures.mjs';
import { Load, closeAll, effects, everyStream, openAgents, shown } from '../load.mjs';

export default {
  name: 'kill -9',
  proves: 'S2 S4 T21 T48',
  required: 'either task killed at any moment: only calls in flight on it fail, each with a clear result within 3 s of the '
    + "client's return; every session goes on on the other task; no effect twice",
  short: { kills: 3, pauseMs: 3_000, slowMs: 6_000, scale: 1 },
  real: { kills: 10, pauseMs: 15_000, slowMs: 12_000 },
  async run(stage, { kills, pauseMs, slowMs }) {
    const findings = new Findings();
    const agents = await openAgents(stage, 12);
    const load = new Load(agents, { perSecond: 15, slowMs, connectedOnly: true });
    const moments = [];
    for (let turn = 0; turn < kills; turn += 1) {
      await sleep(pauseMs * (0.5 + Math.random()));
      // Between two deaths everybody comes back. A client of HTTP+SSE that comes back in the moment of the next one is
      // answered 503 by the load balancer, and takes that for the end of the server.
      await everyStream(agents);
      const victim = stage.tasks[turn % stage.tasks.length];
      moments.push(await stage.kill(victim));
      await stage.addTask();
    }
    await sleep(pauseMs);
    const calls = await load.stop();
    judge(findings, calls, moments);
    for (const agent of agents) {
      await agent.call('whoami').catch((error) => findings.failures.push(`${agent.kind} is lost: ${error}`));
    }
    findings.check(`${agents.length} sessions go on`, agents.every(({ wire }) => wire.answered(404).length === 0));
    const { twice, lost } = effects(stage, calls);
    findings.none('effects happened twice', twice);
    findings.none('effects were lost', lost);
    await closeAll(agents);
    return findings;
  },
};

function judge(findings, calls, moments) {
  // Until the load balancer knows, a new call may meet the dead task as well. It failed by the last kill that it met.
  const hit = ({ at, ms }) => moments.findLast(({ killed, noticed }) => at < noticed && at + ms >= killed)?.killed;
  const failed = calls.filter(({ error }) => error);
  findings.measured.push(`${moments.length} kills, ${calls.length} calls`);
  findings.details.push(`Kills: ${moments.map(({ killed }) => new Date(killed).toISOString()).join(', ')}`);
  findings.none('calls failed that were not in flight on the dead task', failed.filter((call) => !hit(call)).map(shown));
  const told = failed.filter(hit);
  const after = told.map((call) => call.at + call.ms - hit(call));
  findings.measured.push(`${told.length} calls in flight failed; told after the kill: ${spread(after)}`);
  // A client of the SDK comes back two seconds after its stream broke, as it was asked to, or when it tries again.
  const late = told.filter((call, index) => after[index] > 5_000 && call.at + call.ms - returned(call) > 3_000);
  findings.none('calls were told later than 3 s after the return', late.map(shown));
  findings.none('failures without a clear word', told.filter(({ error }) => /timed out/i.test(error)).map(shown));
}

/** When the client of a call was back before it was told: its last GET that was served. */
function returned({ agent, at, ms }) {
  const served = agent.wire.requests.filter((request) => request.method === 'GET' && request.status === 200 && request.at <= at + ms);
  return Math.max(0, ...served.map((request) => request.at));
}
