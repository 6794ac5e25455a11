// Twenty clients that stay for half an hour: is there an age at which their streams end?

import { setTimeout as sleep } from 'node:timers/promises';

import { openAgent } from '../../support/agents.mjs';
import { until } from '../../support/processes.mjs';
import { startNat, startProxy, startSilenceCut } from '../../support/rigs/index.mjs';
import { Findings, histogram } from '../figures.mjs';

const CLIENTS = 20;
const STAY_MS = 1_800_000;
/** Ages at which idle timeouts of usual networks end a stream, in seconds of the design. */
const CLUSTERS = [[55, 65], [95, 105]];

export default {
  name: 'twenty clients for half an hour',
  proves: 'T3 T20 T22 O13',
  required: '20 clients x 30 min: no disconnect at an age of 55-65 s or 95-105 s; each with a logged reason; numbers per transport',
  parallel: true,
  short: { callMs: 60_000 },
  real: { callMs: 60_000 },
  async run(stage, { callMs }) {
    const findings = new Findings();
    const networks = [startProxy, (target) => startNat(target, stage), (target) => startSilenceCut(target, stage)];
    const rigs = [];
    for (const start of networks) rigs.push(await start({ port: stage.port }));
    const agents = [];
    for (let index = 0; index < CLIENTS; index += 1) {
      const { kinds } = stage;
      const options = { rig: rigs[index % rigs.length], relistens: true, scale: stage.scale };
      agents.push(await openAgent(kinds[index % kinds.length], stage.mcp, stage.login(), options));
    }
    await until('every stream', async () => agents.every(({ wire }) => wire.open === 1));
    const calls = { made: 0, failed: [] };
    const end = Date.now() + stage.ms(STAY_MS);
    while (Date.now() < end) {
      await sleep(stage.ms(callMs));
      for (const agent of agents) {
        calls.made += 1;
        await agent.call('whoami').catch((error) => calls.failed.push({ kind: agent.kind, error: String(error) }));
      }
    }
    findings.none(`of ${calls.made} calls failed`, calls.failed);
    judge(findings, agents, stage);
    const ends = stage.logged('stream disconnected');
    findings.none('streams ended without a reason in the log', ends.filter(({ reason }) => !reason));
    await Promise.all(agents.map((agent) => agent.close()));
    for (const rig of rigs) await rig.stop();
    return findings;
  },
};

function judge(findings, agents, { scale, kinds }) {
  const rows = [];
  const ages = [];
  for (const kind of kinds) {
    const streams = agents.filter((agent) => agent.kind === kind).flatMap(({ wire }) => wire.waiting);
    const ended = streams.filter((stream) => stream.ended).map(({ opened, ended: at }) => (at - opened) / scale / 1_000);
    ages.push(...ended);
    const bytes = streams.reduce((sum, stream) => sum + stream.bytes, 0);
    rows.push(`| ${kind} | ${streams.length} | ${ended.length} | ${bytes} |`);
  }
  for (const [from, to] of CLUSTERS) {
    findings.none(`disconnects at an age of ${from}-${to} s`, ages.filter((age) => age >= from && age <= to));
  }
  findings.measured.push(`${ages.length} disconnects in all`);
  findings.details.push(['| Transport | Streams opened | Disconnects | Bytes received |', '| --- | --- | --- | --- |', ...rows].join('\n'));
  findings.details.push(ages.length > 0
    ? `Ages of streams at their end:\n\n${histogram(ages, 5)}`
    : 'Histogram of disconnects: empty, as no stream ended.');
}
