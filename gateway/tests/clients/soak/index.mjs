// The soak: every scenario against real tasks behind a load balancer. `cargo xtask soak` runs it.
//
//   node soak/index.mjs [--real-time] [--in-tests] [--report FILE] [--client KIND]... [SCENARIO...]
//
// Prints a line per scenario, with what was measured below it, and ends with `N passed, N failed`.
// In real time there are three lanes, each a process of its own, so that waiting costs no time twice.

import { fork } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';

import { report } from './report.mjs';
import abandoned from './scenarios/abandoned.mjs';
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

/** What runs side by side in real time. */
const LANES = [
  [halfOpen, idle, lifetimes, reuse],
  [twoTasks, slowCall, elicitation, cancel, kill, rolling],
  [store, volume, stalled, abandoned],
];
const SCENARIOS = LANES.flat();
/** What `cargo xtask test` runs: within three minutes, and the same on a busy machine. The others are named as not run. */
const IN_TESTS = [...LANES[0], ...LANES[1]];
/** The pace of the short form: 15 s are half a second. */
const SHORT_SCALE = 1 / 30;
/** For one scenario: half an hour, and as much again for a machine that is busy. */
const LIMIT_MS = 3_600_000;

const { values: options, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    'real-time': { type: 'boolean', default: false },
    'in-tests': { type: 'boolean', default: false },
    report: { type: 'string' },
    client: { type: 'string', multiple: true },
    // This process is one of the lanes.
    lane: { type: 'boolean', default: false },
  },
});
const realTime = options['real-time'];
const form = realTime ? 'real' : 'short';
const scale = realTime ? 1 : SHORT_SCALE;
/** No machine of today is 30 times as fast: a second of silence before a call turns slow, whatever the scale. */
const slowAfter = (pace) => (pace === 1 ? {} : { SLOW_AFTER: String(Math.round(1_000 / pace)) });

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
    // What is full of deadlines for answers runs slower than the rest of the short form.
    const pace = scenario[form].scale ?? scale;
    const settings = { scale: pace, env: slowAfter(pace), tasks: scenario.tasks, kinds: options.client };
    if (!scenario.alone) stage = await startStage(settings);
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

/** Whether it went as required. */
const isGood = ({ findings, broke, lacks }) => Boolean(lacks) || (!broke && findings.failures.length === 0);

/** Says how it went. */
function tell(result) {
  const { scenario: { name }, findings, broke, lacks, ms } = result;
  if (lacks) return console.log(`not run: ${name} (this machine lacks ${lacks})`);
  console.log(`${isGood(result) ? 'ok' : 'FAILED'} ${name} (${(ms / 1_000).toFixed(0)} s)`);
  if (broke) console.log(broke.replace(/^/gm, '  '));
  for (const text of findings?.measured ?? []) console.log(`  ${findings.failures.includes(text) ? 'FAILED ' : ''}${text}`);
  for (const text of findings?.failures ?? []) if (text.startsWith(' ')) console.log(`  ${text}`);
}

const candidates = options['in-tests'] ? IN_TESTS : SCENARIOS;
const chosen = candidates.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
for (const { name } of options['in-tests'] ? SCENARIOS.filter((scenario) => !IN_TESTS.includes(scenario)) : []) {
  console.log(`not run: ${name} (\`cargo xtask soak\` runs it)`);
}
const began = new Date();
const results = [];
const sent = [];
const note = (result) => {
  results.push(result);
  if (!options.lane) return tell(result);
  sent.push(new Promise((resolve) => process.send({ ...result, scenario: result.scenario.name }, resolve)));
};
// A lane ends with the run that it is part of.
if (options.lane) process.on('disconnect', () => process.exit(1));

/** Runs scenarios here: one after the other, and beside them those that mostly wait. */
async function runAll(scenarios) {
  const beside = scenarios.filter(({ parallel }) => parallel).map((scenario) => run(scenario).then(note));
  for (const scenario of scenarios.filter(({ parallel }) => !parallel)) note(await run(scenario));
  await Promise.all(beside);
}

/** Runs scenarios in a process of their own, whose work is not delayed by that of others. */
async function runLane(scenarios) {
  const kinds = (options.client ?? []).flatMap((kind) => ['--client', kind]);
  const child = fork(new URL(import.meta.url), [
    '--lane', ...(realTime ? ['--real-time'] : []), ...kinds, '--', ...scenarios.map(({ name }) => name),
  ]);
  const missing = new Set(scenarios);
  child.on('message', (result) => {
    const scenario = scenarios.find(({ name }) => name === result.scenario);
    missing.delete(scenario);
    note({ ...result, scenario });
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  for (const scenario of missing) note({ scenario, broke: `its process ended with ${code}`, ms: Date.now() - began });
}

const lanes = LANES.map((lane) => lane.filter((scenario) => chosen.includes(scenario))).filter((lane) => lane.length > 0);
if (realTime && !options.lane) await Promise.all(lanes.map(runLane));
else await runAll(chosen);
await Promise.all(sent);

if (options.report) {
  await mkdir(dirname(options.report), { recursive: true });
  results.sort((a, b) => SCENARIOS.indexOf(a.scenario) - SCENARIOS.indexOf(b.scenario));
  await writeFile(options.report, await report({ began, ended: new Date(), results, realTime, scale }));
}
const failed = results.filter((result) => !isGood(result)).length;
if (!options.lane) console.log(`${results.length - failed} passed, ${failed} failed`);
// A client that a broken scenario left behind must not keep the run alive.
process.exit(failed === 0 ? 0 : 1);
