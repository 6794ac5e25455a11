// Nobody says anything for a quarter of an hour, on every kind of network; then somebody does.

import { setTimeout as sleep } from 'node:timers/promises';

import { openAgent } from '../../support/agents.mjs';
import { until } from '../../support/processes.mjs';
import { NETWORKS } from '../../support/rigs/index.mjs';
import { Findings } from '../figures.mjs';

const IDLE_MS = [330_000, 900_000];
const STUBBORN = 'a buffering proxy that knows no exception';

export default {
  name: 'idle through every network',
  proves: 'T1 T15 T23 G2',
  required: 'idle 330 s, then 900 s, behind each rig that allows life: then `gmail_list` on the same session, no reconnect, no login',
  parallel: true,
  short: {},
  real: {},
  async run(stage) {
    const findings = new Findings();
    const rigs = [];
    const agents = [];
    for (const [network, start] of Object.entries(NETWORKS)) {
      const rig = await start({ port: stage.port }, stage.scale);
      rigs.push(rig);
      for (const kind of stage.kinds) {
        // Where a stream never begins there is no life for who needs one to connect.
        if (network === STUBBORN && /HTTP\+SSE|modern/.test(kind)) continue;
        const agent = await openAgent(kind, stage.mcp, stage.login(), { rig, scale: stage.scale });
        agents.push({ network, agent });
        if (network !== STUBBORN) await until(`${kind} behind ${network}`, async () => agent.wire.open === 1);
      }
    }
    for (const idleMs of IDLE_MS) await idle(findings, agents, idleMs, stage.scale);
    findings.check(`${stage.login().logins} login`, stage.login().logins === 1);
    const details = rigs.map((rig, index) => `- ${Object.keys(NETWORKS)[index]}: ${JSON.stringify(rig.counts)}`);
    findings.details.push(`What the networks did:\n\n${details.join('\n')}`);
    for (const { agent } of agents) await agent.close();
    for (const rig of rigs) await rig.stop();
    return findings;
  },
};

async function idle(findings, agents, idleMs, scale) {
  const before = agents.map(({ agent }) => agent.wire.requests.length);
  await sleep(idleMs * scale);
  const wrong = [];
  for (const [index, { network, agent }] of agents.entries()) {
    const lives = network === STUBBORN || agent.wire.open === 1;
    const asked = agent.wire.requests.slice(before[index]).filter(({ status }) => status !== undefined);
    if (!lives || (network !== STUBBORN && asked.length > 0)) wrong.push({ network, kind: agent.kind, asked });
  }
  findings.none(`of ${agents.length} clients reconnected within ${idleMs / 1_000} s`, wrong);
  const failed = [];
  for (const { network, agent } of agents) {
    const { session } = agent;
    try {
      await agent.call('gmail_list', { maxResults: 3 });
      if (agent.session !== session) throw new Error('another session');
    } catch (error) {
      failed.push({ network, kind: agent.kind, error: String(error) });
    }
  }
  findings.none('calls failed after that', failed);
}
