// The soak: every scenario against real tasks behind a load balancer. `cargo xtask soak` runs it.
//
//   node soak/index.mjs [--real-time] [--in-tests] [--report FILE] [--client KIND]... [SCENARIO...]
//
// Prints a line per scenario, with what was measured below it, and ends with `N passed, N failed`.

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';

import { report } from './report.mjs';
import { cancel, elicitation, slowCall } from './scenarios/handover.mjs';
import halfOpen from './scenarios/half-open.mjs';
import idle from './scenarios/idle.mjs';
import kill from './scenarios/kill.mjs';
import lifetimes from './scenarios/lifetimes.mjs';
import reuse from './scenarios/reuse.mjs';
import rolling from './scenarios/rolling.mjs';
import stalled from './scenarios/stalled.mjs';
import store from './scenarios/store.mjs';
import twoTasks from './scenarios/two-tasks.mjs';
import volume from './scenarios/volume.mjs';
import { startStage } from './stage.mjs';

const SCENARIOS = [
  halfOpen, idle, lifetimes, reuse, twoTasks, slowCall, elicitation, cancel, kill, rolling, store, volume, stalled,
];
/** What `cargo xtask test` runs: quick, and the same on a busy machine. The others are named as not run. */
const IN_TESTS = [twoTasks, slowCall, elicitation, cancel];
/** The pace of the short form: 15 s are half a second. */
const SHORT_SCALE = 1 / 30;
/** Half an hour, and as much again for a machine that is busy. */
const LIMIT_MS = 3_600_000;

const { values: options, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    'real-time': { type: 'boolean', default: false },
    'in-tests': { type: 'boolean', default: false },
    report: { type: 'string' },
    client: { type: 'string', multiple: true },
  },
});
const realTime = options['real-time'];
const form = realTime ? 'real' : 'short';
const scale = realTime ? 1 : SHORT_SCALE;
// No machine of today is 30 times as fast: a second of silence before a call turns slow, whatever the scale.
const env = realTime ? {} : { SLOW_AFTER: '30000' };

const unknown = wanted.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name));
if (unknown.length > 0) {
  console.error(`error: there is no scenario \`${unknown[0]}\`\n\nhint: ${SCENARIOS.map(({ name }) => `\`${name}\``).join(', ')}`);
  process.exit(2);
}

/** Runs one scenario on a stage of its own. */
async function run(scenario) {
  const began = Date.now();
  const lacks = scenario.lacks?.();
  if (lacks) return { scenario, lacks };
  let stage;
  let timer;
  try {
    if (!scenario.alone) stage = await startStage({ scale, env, tasks: scenario.tasks, kinds: options.client });
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error('it takes too long')), LIMIT_MS);
    });
    const findings = await Promise.race([scenario.run(stage, scenario[form]), late]);
    return { scenario, findings, ms: Date.now() - began };
  } catch (error) {
    const log = stage?.tasks.flatMap(({ child }) => child.output.filter((line) => /"(WARN|ERROR)"/.test(line)).slice(-5)) ?? [];
    return { scenario, broke: [error.stack, ...log].join('\n'), ms: Date.now() - began };
  } finally {
    clearTimeout(timer);
    await stage?.stop();
  }
}

/** Says how it went; true: as required. */
function tell({ scenario: { name }, findings, broke, lacks, ms }) {
  if (lacks) {
    console.log(`not run: ${name} (this machine lacks ${lacks})`);
    return true;
  }
  const good = !broke && findings.failures.length === 0;
  console.log(`${good ? 'ok' : 'FAILED'} ${name} (${(ms / 1_000).toFixed(0)} s)`);
  if (broke) console.log(broke.replace(/^/gm, '  '));
  for (const text of findings?.measured ?? []) console.log(`  ${findings.failures.includes(text) ? 'FAILED ' : ''}${text}`);
  for (const text of findings?.failures ?? []) if (text.startsWith(' ')) console.log(`  ${text}`);
  return good;
}

const candidates = options['in-tests'] ? IN_TESTS : SCENARIOS;
const chosen = candidates.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
for (const { name } of options['in-tests'] ? SCENARIOS.filter((scenario) => !IN_TESTS.includes(scenario)) : []) {
  console.log(`not run: ${name} (\`cargo xtask soak\` runs it)`);
}
const began = new Date();
const results = [];
const note = (result) => {
  results.push(result);
  return tell(result);
};
// Those that mostly wait do so beside the others.
const beside = chosen.filter(({ parallel }) => parallel).map((scenario) => run(scenario).then(note));
const outcomes = [];
for (const scenario of chosen.filter(({ parallel }) => !parallel)) outcomes.push(note(await run(scenario)));
outcomes.push(...await Promise.all(beside));

if (options.report) {
  await mkdir(dirname(options.report), { recursive: true });
  results.sort((a, b) => SCENARIOS.indexOf(a.scenario) - SCENARIOS.indexOf(b.scenario));
  await writeFile(options.report, await report({ began, ended: new Date(), results, realTime, scale }));
}
const failed = outcomes.filter((good) => !good).length;
console.log(`${outcomes.length - failed} passed, ${failed} failed`);
// A client that a broken scenario left behind must not keep the run alive.
process.exit(failed === 0 ? 0 : 1);
