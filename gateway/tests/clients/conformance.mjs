// The official conformance suite against a running gateway: `cargo xtask test conformance`.
//
// Prints one line for each scenario and revision, and ends with `N passed, N failed`.

import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { startBearerProxy } from './support/bearer-proxy.mjs';
import { Browser } from './support/browser.mjs';
import { Login, connect } from './support/login.mjs';
import { freePort, start } from './support/processes.mjs';
import { AUTHORIZATION, NOT_RUN, RUN, UNTESTABLE, VERSIONS } from './support/scenarios.mjs';
import { startStack } from './support/stack.mjs';

const SUITE = fileURLToPath(new URL('node_modules/@modelcontextprotocol/conformance/dist/index.js', import.meta.url));
const EMAIL = 'ana@example.com';

/** Checks of `UNTESTABLE` that the suite did report. */
const excusedChecks = new Set();
let passed = 0;
let failed = 0;

function fail(what, details = []) {
  failed += 1;
  console.log([`FAILED ${what}`, ...details.map((detail) => `  ${detail}`)].join('\n'));
}

/** Starts the suite with this very Node, because it needs a newer one than the rest. */
const suite = (...args) => start(process.execPath, [SUITE, ...args]);

/** The names that the suite lists for `args`. */
async function listed(...args) {
  const child = suite('list', ...args);
  const { code } = await child.exited;
  const names = child.output.flatMap((line) => /^ {2}- (\S+)/.exec(line)?.[1] ?? []);
  if (code !== 0 || names.length === 0) throw new Error(`the suite lists nothing:\n${child.output.join('\n')}`);
  return [...new Set(names)];
}

/** Names in our data that the suite does not have (any more), and names of the suite that our data lacks. */
async function compareNames() {
  const known = [...RUN, ...Object.keys(NOT_RUN)];
  const server = await listed('--server');
  const authorization = await listed('--authorization');
  const gone = known.filter((name) => !server.includes(name));
  const unknown = [
    ...server.filter((name) => !known.includes(name)),
    ...authorization.filter((name) => !AUTHORIZATION.includes(name)),
  ];
  for (const name of gone) fail(`${name}: the suite has no such scenario`);
  for (const name of unknown) fail(`${name}: a scenario that support/scenarios.mjs does not know`);
}

/** Judges the checks that the suite wrote for `scenario` below `directory`. */
async function judge(version, scenario, directory, child) {
  const found = (await readdir(directory)).find((name) => name.includes(scenario));
  if (!found) return fail(`${version} ${scenario}: no results`, child.output.slice(-20));
  const checks = JSON.parse(await readFile(join(directory, found, 'checks.json'), 'utf8'));
  const excused = UNTESTABLE[scenario] ?? {};
  const wrong = [];
  for (const { id, status, description, errorMessage } of checks) {
    if (excused[id]) excusedChecks.add(id);
    if (excused[id] && status === 'SUCCESS') wrong.push(`${id} succeeds now; take it out of UNTESTABLE`);
    else if (!excused[id] && status !== 'SUCCESS' && status !== 'INFO') {
      wrong.push(`${status} ${id}: ${errorMessage ?? description}`);
    }
  }
  const good = checks.filter(({ status }) => status === 'SUCCESS').length;
  if (good === 0) wrong.push('no check succeeded');
  if (wrong.length > 0) return fail(`${version} ${scenario}`, wrong);
  passed += 1;
  console.log(`ok ${version} ${scenario} (${good} check${good === 1 ? '' : 's'})`);
  for (const { id } of checks.filter((check) => excused[check.id])) console.log(`  not run: ${id} (${excused[id]})`);
}

/** Runs `use` with a directory for results. */
async function withResults(use) {
  const directory = await mkdtemp(join(tmpdir(), 'conformance-'));
  try {
    await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function serverScenarios(version, url) {
  for (const name of (await listed('--server', '--spec-version', version)).filter((name) => RUN.has(name))) {
    await withResults(async (directory) => {
      const child = suite('server', '--url', url, '--scenario', name, '--spec-version', version, '-o', directory);
      await child.exited;
      await judge(version, name, directory, child);
    });
  }
}

/** The suite prints the URL to open and waits for the browser to come back to its own port. */
async function authorizationScenarios(version, gateway) {
  const port = await freePort();
  const redirect_uris = [`http://127.0.0.1:${port}/callback`];
  const registration = await fetch(`${gateway.url}/oauth/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client_name: 'conformance', redirect_uris, token_endpoint_auth_method: 'none' }),
  });
  const { client_id } = await registration.json();
  await withResults(async (directory) => {
    const child = suite('authorization', '--url', gateway.url, '--client-id', client_id, '--port', String(port),
      '--resource', gateway.mcp, '--spec-version', version, '-o', directory);
    let browser = Promise.resolve();
    child.lines.on('line', (line) => {
      if (line.startsWith(`${gateway.url}/oauth/authorize?`)) {
        browser = new Browser().logIn(line.trim(), EMAIL).then(({ location }) => fetch(location));
        // Without a browser the suite would wait for minutes.
        browser.catch(() => child.kill());
      }
    });
    await child.exited;
    await browser.catch((error) => child.output.push(String(error)));
    for (const name of AUTHORIZATION) await judge(version, name, directory, child);
  });
}

/** An access token, as a client gets it. */
async function logIn(url) {
  const login = new Login(EMAIL);
  const transport = (authProvider) => new StreamableHTTPClientTransport(new URL(url), { authProvider });
  const { client } = await connect(() => new Client({ name: 'conformance', version: '1.0.0' }), transport, login);
  await client.close();
  return login.tokens().access_token;
}

if (Number(process.versions.node.split('.')[0]) < 22) {
  console.error(`the conformance suite needs Node 22; this is ${process.versions.node}
hint: run \`cargo xtask test conformance\`, or \`node_modules/.bin/node conformance.mjs\` after \`npm ci\``);
  process.exit(2);
}
const stack = await startStack();
const proxy = await startBearerProxy(stack.gateway.url, await logIn(stack.gateway.mcp));
for (const [name, reason] of Object.entries(NOT_RUN)) console.log(`not run: ${name} (${reason})`);
try {
  await compareNames();
  for (const version of VERSIONS) {
    await serverScenarios(version, `${proxy.url}/mcp`);
    await authorizationScenarios(version, stack.gateway);
  }
  const excused = Object.values(UNTESTABLE).flatMap(Object.keys);
  for (const id of excused.filter((own) => !excusedChecks.has(own))) fail(`${id}: the suite has no such check`);
} catch (error) {
  fail('the run broke off', [error.stack]);
} finally {
  await proxy.stop();
  await stack.stop();
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
