// A day of releases on the local stage, with real clients connected all the time: `cargo xtask local rehearse` runs it.
//
//   node rehearsal/index.mjs [--report FILE]
//
// Prints a line per step, with what was measured below it, and ends with `N passed, N failed`.

import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { Findings, spread } from '../soak/figures.mjs';
import { Images } from './images.mjs';
import { report } from './report.mjs';
import { AWS, ENVIRONMENT, HOSTS, MCP, ROOT, Xtask, authority, run } from './stage.mjs';
import { symptoms } from './symptoms.mjs';

const { values: options } = parseArgs({ options: { report: { type: 'string' } } });

/** Clients, two of each kind, and how often one of them calls. */
const CLIENTS = { count: 8, perSecond: 8 };
/** How long a client may be without its stream. */
const STREAM_BACK_MS = 5_000;
const FIRST_LIMIT_S = 300;
const AGAIN_LIMIT_S = 90;
const QUICK_LIMIT_S = 60;

const xtask = new Xtask();
const results = [];

/** Runs one step, and says whether it came to its end. */
async function step(name, required, run) {
  const began = Date.now();
  const result = { name, required, findings: new Findings() };
  console.log(`\n== ${name}`);
  try {
    await run(result.findings);
  } catch (error) {
    result.broke = error.stack;
  }
  result.seconds = Math.round((Date.now() - began) / 1_000);
  results.push(result);
  const isGood = !result.broke && result.findings.failures.length === 0;
  console.log(`${isGood ? 'ok' : 'FAILED'} ${name} (${result.seconds} s)`);
  if (result.broke) console.log(result.broke.replace(/^/gm, '  '));
  for (const text of result.findings.measured) console.log(`  ${result.findings.failures.includes(text) ? 'FAILED ' : ''}${text}`);
  for (const text of result.findings.failures) if (!result.findings.measured.includes(text)) console.log(`  ${text}`);
  return !result.broke;
}

/** The clients, in a process of their own that trusts the authority of the stage. */
class Clients {
  static async connect() {
    const wanted = JSON.stringify({ mcp: MCP, names: HOSTS, ...CLIENTS });
    const child = fork(new URL('clients.mjs', import.meta.url), [wanted], { env: { ...process.env, NODE_EXTRA_CA_CERTS: authority() } });
    const clients = new Clients(child);
    await clients.#next();
    return clients;
  }

  constructor(child) {
    this.child = child;
  }

  #next() {
    return new Promise((resolve, reject) => {
      const ended = (code) => reject(new Error(`the clients ended with ${code}`));
      this.child.once('close', ended);
      this.child.once('message', (answer) => {
        this.child.off('close', ended);
        return answer.broke ? reject(new Error(answer.broke)) : resolve(answer);
      });
    });
  }

  async ask(question = 'now') {
    const answer = this.#next();
    this.child.send(question);
    return answer;
  }

  /** What all of them are told since the release has changed. */
  async expectTold(findings, wanted) {
    const { told, open } = await this.ask();
    findings.check(`all ${CLIENTS.count} clients are told by ${wanted} release${told.length === 1 ? '' : `, but: ${told.join(' | ')}`}`, told.length === 1 && told[0].includes('second release') === (wanted === 'the second'));
    findings.check(`${open} of ${CLIENTS.count} have their streams`, open === CLIENTS.count);
  }
}

/** How a run of xtask ended, as checks. */
function ended(findings, { code, seconds, text }, wantedCode, ...says) {
  findings.check(`ended with ${code} after ${seconds} s`, code === wantedCode);
  for (const wanted of says) findings.check(`says \`${wanted}\``, text.includes(wanted));
  if (code !== wantedCode) findings.failures.push(`  ${text.trim().split('\n').slice(-12).join('\n  ')}`);
}

let clients;
let images;
let before;

/** What follows stands on each of them. */
const releases = [
  ['from nothing, by one command', 'registry, stacks, image, service with real tasks, verified: under 5 minutes with a warm build', async (findings) => {
    const run = await xtask.run('deploy', ...ENVIRONMENT);
    ended(findings, run, 0);
    findings.check(`${run.seconds} s`, run.seconds < FIRST_LIMIT_S);
    if (run.code !== 0) throw new Error('nothing is deployed');
  }],
  ['again, with nothing to do', 'under 90 s', async (findings) => {
    const run = await xtask.run('deploy', ...ENVIRONMENT);
    ended(findings, run, 0, 'verified again');
    findings.check(`${run.seconds} s`, run.seconds < AGAIN_LIMIT_S);
  }],
  ['`verify --quick`', 'all pass, under 60 s', async (findings) => {
    const run = await xtask.run('verify', ...ENVIRONMENT, '--quick');
    ended(findings, run, 0);
    findings.check(`${run.seconds} s`, run.seconds < QUICK_LIMIT_S);
  }],
  ['real clients connect', 'both eras and HTTP+SSE, without cookies', async (findings) => {
    clients = await Clients.connect();
    await clients.expectTold(findings, 'the first');
    before = await xtask.released();
  }],
  ['a second release', 'its change is seen by every client, on the connection that it had', async (findings) => {
    images = new Images(before);
    const second = await images.fromChangedSources();
    ended(findings, await xtask.run('deploy', ...ENVIRONMENT, '--image', second, '--sha', await images.changedCommit()), 0);
    await clients.expectTold(findings, 'the second');
  }],
  ['a rollback', 'the first release runs again, and the second is held', async (findings) => {
    ended(findings, await xtask.run('rollback', ...ENVIRONMENT, '--reason', 'a rehearsal'), 0);
    await clients.expectTold(findings, 'the first');
    const [, undone] = await xtask.releases();
    findings.check(`the second release is ${undone.status}${undone.hold ? ' and held' : ''}`, undone.status === 'rolled-back' && undone.hold);
  }],
  ['a release that crashes', 'sent back, exit code 1, with the reason on the screen', async (findings) => {
    // The real binary with a setting that it refuses.
    const crash = await images.withSetting('crash', 'REQUEST_TIMEOUT', 'never');
    ended(findings, await xtask.run('deploy', ...ENVIRONMENT, '--image', crash), 1, 'exit code 64', 'REQUEST_TIMEOUT');
    findings.check('the first release runs', (await xtask.running()) === before);
    await clients.expectTold(findings, 'the first');
  }],
  ['a release that is healthy, and wrong', 'found by the MCP probes of the gate, exit code 1, taken back', async (findings) => {
    const wrong = await images.withSetting('wrong', 'ALLOWED_ORIGINS', 'https://*.example.net');
    ended(findings, await xtask.run('deploy', ...ENVIRONMENT, '--image', wrong), 1, 'L7');
    findings.check('the first release runs', (await xtask.running()) === before);
    await clients.expectTold(findings, 'the first');
  }],
  ['a release with a known vulnerability', 'found by the scan of its image as F5 and nothing else, exit code 1, taken back', async (findings) => {
    const vulnerable = await images.withPackage('vulnerable', 'xz-utils', '5.6.0-0.2');
    const run = await xtask.run('deploy', ...ENVIRONMENT, '--image', vulnerable);
    ended(findings, run, 1, '1 critical (CVE-2024-3094)');
    const found = [...run.text.matchAll(/^FAIL ([A-M]\d+) /gm)].map(([, id]) => id);
    findings.check(`found: ${found.join()}`, found.join() === 'F5');
    findings.check('the first release runs', (await xtask.running()) === before);
    await clients.expectTold(findings, 'the first');
  }],
  ['a third release', 'verified, and the first can be gone back to', async (findings) => {
    const third = await images.withSetting('third', 'LOG_LEVEL', 'warn');
    ended(findings, await xtask.run('deploy', ...ENVIRONMENT, '--image', third), 0);
    await clients.expectTold(findings, 'the first');
  }],
  ['what the clients noticed of all this', 'no failed call, no second login, every stream back within 5 s', async (findings) => {
    await sleep(STREAM_BACK_MS);
    const { calls, failed, logins, open, gaps, refused } = await clients.ask('stop');
    findings.check(`${calls} calls`, calls > 0);
    findings.none('calls failed', failed);
    findings.none('answers of 5xx', refused);
    findings.check(`${logins} logins of 2 people`, logins === 2);
    findings.check(`${open} of ${CLIENTS.count} have their streams`, open === CLIENTS.count);
    findings.measured.push(`${gaps.length} streams ended and came back: ${spread(gaps.map(({ ms }) => ms))}`);
    findings.none('streams were away for longer than 5 s', gaps.filter(({ ms }) => ms > STREAM_BACK_MS));
  }],
];
const steps = [...releases, ...symptoms(xtask)];

const began = new Date();
const commit = await run('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: ROOT });
if (existsSync(AWS)) await xtask.run('local', 'down');
try {
  for (const [index, one] of steps.entries()) {
    const isWhole = await step(...one);
    if (!isWhole && index < releases.length) break;
  }
} finally {
  clients?.child.kill();
  await images?.remove();
}
if (options.report) {
  const file = join(ROOT, options.report);
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, report({ commit, began, ended: new Date(), results, steps: steps.length }));
}
const failed = steps.length - results.filter(({ broke, findings }) => !broke && findings.failures.length === 0).length;
console.log(`${steps.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
