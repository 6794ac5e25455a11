// Deployments under load, and nobody notices.

import { setTimeout as sleep } from 'node:timers/promises';

import { Findings, spread } from '../figures.mjs';
import { Load, closeAll, effects, openAgents } from '../load.mjs';

/** How long a client may be without its stream. */
const STREAM_BACK_MS = 5_000;

export default {
  name: 'rolling restarts',
  proves: 'T21 T47 T50 D5 D6',
  required: '20 rolling restarts under 50 streams and 20 calls/s, fast and slow: no failed call, no effect twice, no 5xx, '
    + 'every stream back within 5 s, old tasks exit 0',
  short: { rolls: 2, agents: 24, perSecond: 12, scale: 0.2 },
  real: { rolls: 20, agents: 50, perSecond: 20 },
  async run(stage, { rolls, agents: count, perSecond }) {
    const findings = new Findings();
    const agents = await openAgents(stage, count);
    const load = new Load(agents, { perSecond });
    const ends = [];
    for (let turn = 0; turn < rolls; turn += 1) {
      await sleep(1_000);
      ends.push(...await stage.roll());
    }
    await sleep(STREAM_BACK_MS);
    const calls = await load.stop();
    findings.check(`${rolls} restarts of ${ends.length / rolls} tasks, ${calls.length} calls, ${agents.length} streams`, ends.length > 0);
    findings.none('calls failed', load.failed);
    const { twice, lost, written } = effects(stage, calls);
    findings.none(`of ${written} effects happened twice`, twice);
    findings.none('effects were lost', lost);
    const { serverErrors } = await stage.balancer.statistics();
    findings.check(`${serverErrors} answers of 5xx`, serverErrors === 0);
    findings.none('old tasks ended with another status than 0', ends.filter(({ code }) => code !== 0));
    findings.measured.push(`a drain took: ${spread(ends.map(({ ms }) => ms))}`);
    const gaps = agents.flatMap(({ kind, wire }) => streamGaps(wire).map((ms) => ({ kind, ms })));
    findings.measured.push(`${gaps.length} streams ended and came back: ${spread(gaps.map(({ ms }) => ms))}`);
    findings.none('streams were away for longer than 5 s', gaps.filter(({ ms }) => ms > STREAM_BACK_MS));
    await closeAll(agents);
    return findings;
  },
};

/** How long a client was without a stream, each time that it lost its last one. */
function streamGaps(wire) {
  const gaps = [];
  const streams = [...wire.waiting].sort((a, b) => a.opened - b.opened);
  for (const { ended } of streams.filter((stream) => stream.ended)) {
    if (streams.some((other) => other.opened < ended && (other.ended ?? Infinity) > ended)) continue;
    const next = streams.find((other) => other.opened >= ended);
    gaps.push(next ? next.opened - ended : Infinity);
  }
  return gaps;
}
