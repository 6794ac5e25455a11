// A task dies without a word, at any moment, under load.

import { setTimeout as sleep } from 'node:timers/promises';

import { Findings, spread } from '../figures.mjs';
import { Load, closeAll, effects, openAgents, shown } from '../load.mjs';

/** The load balancer does not know yet: a call of this moment may meet the dead task. */
const UNNOTICED_MS = 500;

export default {
  name: 'kill -9',
  proves: 'S2 S4 T21 T48',
  required: 'either task killed at any moment: only calls in flight on it fail, each with a clear result within 3 s of the '
    + "client's return; every session goes on on the other task; no effect twice",
  short: { kills: 3, pauseMs: 3_000 },
  real: { kills: 10, pauseMs: 15_000 },
  async run(stage, { kills, pauseMs }) {
    const findings = new Findings();
    const agents = await openAgents(stage, 12);
    const load = new Load(agents, { perSecond: 15 });
    const moments = [];
    for (let turn = 0; turn < kills; turn += 1) {
      await sleep(pauseMs * (0.5 + Math.random()));
      const victim = stage.tasks[turn % stage.tasks.length];
      moments.push(Date.now());
      await stage.kill(victim);
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
  const hit = ({ at, ms }) => moments.find((kill) => at < kill + UNNOTICED_MS && at + ms >= kill);
  const failed = calls.filter(({ error }) => error);
  findings.measured.push(`${moments.length} kills, ${calls.length} calls`);
  findings.details.push(`Kills: ${moments.map((at) => new Date(at).toISOString()).join(', ')}`);
  findings.none('calls failed that were not in flight on the dead task', failed.filter((call) => !hit(call)).map(shown));
  const inFlight = failed.filter(hit);
  const after = inFlight.map((call) => call.at + call.ms - hit(call));
  findings.measured.push(`${inFlight.length} calls in flight failed; told after the kill: ${spread(after)}`);
  // A client of the SDK comes back one second after its stream broke.
  findings.none('calls were told later than 3 s after the return', inFlight.filter((call, index) => after[index] > 4_000).map(shown));
  findings.none('failures without a clear word', inFlight.filter(({ error }) => /timed out/i.test(error)).map(shown));
}
