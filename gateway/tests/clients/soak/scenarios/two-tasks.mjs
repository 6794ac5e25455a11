// Clients without cookies, whose every request goes to the other task.

import { Findings, spread } from '../figures.mjs';
import { Load, closeAll, effects, openAgents } from '../load.mjs';

export default {
  name: 'two tasks, no cookie',
  proves: 'S1 S8 T4',
  required: '1,000 calls of all clients over two tasks: no 404, no failed call, no list without its 13 tools, no effect twice',
  short: { calls: 240, perSecond: 30, scale: 0.2 },
  real: { calls: 1_000, perSecond: 20 },
  async run(stage, { calls: wanted, perSecond }) {
    const findings = new Findings();
    const agents = await openAgents(stage, 8);
    const load = new Load(agents, { perSecond });
    while (load.calls.length < wanted) await new Promise((resolve) => setTimeout(resolve, 50));
    const calls = await load.stop();
    findings.check(`${calls.length} calls`, calls.length >= wanted);
    findings.none('calls failed', load.failed);
    findings.none('answers were 404', agents.flatMap(({ wire }) => wire.answered(404)));
    const { twice, lost, written } = effects(stage, calls);
    findings.none(`of ${written} effects happened twice`, twice);
    findings.none('effects were lost', lost);
    const served = await stage.balancer.served();
    findings.check(`requests per task: ${served.join(' and ')}`, Math.min(...served) * 3 > Math.max(...served));
    const fast = calls.filter(({ work }) => !work.startsWith('slow')).map(({ ms }) => ms);
    findings.measured.push(`fast calls: ${spread(fast)}`);
    await closeAll(agents);
    return findings;
  },
};
