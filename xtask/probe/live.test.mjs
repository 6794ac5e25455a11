// The live half of `cargo xtask verify` against two tasks behind a load balancer with TLS: everything passes, and one
// thing that goes wrong in front of them is found by exactly its assertion, in words that name it.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';

import { startCluster } from '../../gateway/tests/clients/support/cluster.mjs';
import { ADDRESS, startFront } from './support/front.mjs';

const here = import.meta.dirname ?? new URL('.', import.meta.url).pathname;
const xtask = process.env.XTASK_BIN ?? join(here, '../../target/debug/xtask');
const declaration = join(here, '../src/verify/tests/declared.json');

/** Long enough for whatever is cut or closed below to be noticed, and not longer. */
const STREAM_SECONDS = 3;
const IDLE_SECONDS = 2;
const CALL_SECONDS = 3;

let cluster;
let directory;
let declared;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'verify-'));
  cluster = await startCluster({ args: ['--sticky'] });
  const { hostname, port } = new URL(cluster.url);
  declared = JSON.parse(readFileSync(declaration, 'utf8'));
  Object.assign(declared.live, {
    url: cluster.url, host: hostname, stream_open_seconds_min: STREAM_SECONDS, connection_idle_seconds: [IDLE_SECONDS],
    call_seconds_max: CALL_SECONDS + 20,
  });
  declared.listener.https_port = Number(port);
  writeFileSync(join(directory, 'token'), logIn());
});

after(async () => {
  await cluster?.down();
  if (directory) rmSync(directory, { recursive: true, force: true });
});

function logIn() {
  const wanted = JSON.stringify({ url: cluster.url, email: cluster.google.users[0].email });
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: cluster.authority };
  return execFileSync(process.execPath, [join(here, 'login.mjs'), wanted], { env, encoding: 'utf8' });
}

/** Runs `verify` on what the front makes of the cluster; what is found by the ids of the assertions. */
async function verify(wrong, { depth = '--full' } = {}) {
  const server = join(dirname(cluster.authority), 'server.pem');
  const front = await startFront({ origin: cluster.url, authority: cluster.authority, server, wrong });
  try {
    declared.listener.http_port = front.httpPort;
    const file = join(directory, 'declared.json');
    writeFileSync(file, JSON.stringify(declared));
    const { port } = new URL(cluster.url);
    const { stdout, stderr, code } = await run([
      'verify', '--only', 'L', '--json', depth, '--declared', file, '--authority', cluster.authority,
      '--token-file', join(directory, 'token'), '--resolve', `${declared.live.host}:${port}:${ADDRESS}`,
    ]);
    assert.ok(stdout, stderr);
    const { assertions } = JSON.parse(stdout);
    const having = (verdict) => assertions.filter((one) => one.verdict === verdict);
    return { code, passed: having('pass'), failed: having('fail'), unknown: having('unknown'), shown: `${stdout}\n${stderr}` };
  } finally {
    await front.close();
  }
}

function run(parameters) {
  const env = { ...process.env, CARGO_MANIFEST_DIR: join(here, '..') };
  const child = spawn(xtask, parameters, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const printed = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (text) => { printed[name] += text; });
  return new Promise((resolve, reject) => {
    child.once('error', reject).once('close', (code) => resolve({ ...printed, code }));
  });
}

/** A certificate of the cluster's authority, or of a new one, for another name or by another chain. */
function certificate(kind) {
  const at = (name) => join(directory, `${kind}.${name}`);
  const openssl = (...parameters) => execFileSync('openssl', parameters, { stdio: 'pipe' });
  const tls = dirname(cluster.authority);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const names = kind === 'name' ? 'DNS:other.example.com' : 'IP:127.0.0.1';
  writeFileSync(at('ext'), `subjectAltName=${names}\n`);
  let [ca, caKey] = [join(tls, 'ca.pem'), join(tls, 'ca.key')];
  if (kind !== 'name') {
    // A new authority; with `chain`, one that the cluster's own vouches for, and that the server does not show.
    openssl('req', ...key, '-subj', '/CN=between', '-keyout', at('ca.key'), '-out', at('ca.csr'));
    writeFileSync(at('ca.ext'), 'basicConstraints=critical,CA:TRUE\n');
    const signer = kind === 'chain' ? ['-CA', ca, '-CAkey', caKey] : ['-signkey', at('ca.key')];
    openssl('x509', '-req', '-in', at('ca.csr'), ...signer, '-days', '2', '-extfile', at('ca.ext'), '-out', at('ca.pem'));
    [ca, caKey] = [at('ca.pem'), at('ca.key')];
  }
  openssl('req', ...key, '-subj', '/CN=front', '-keyout', at('key'), '-out', at('csr'));
  openssl('x509', '-req', '-in', at('csr'), '-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-days', '2', '-extfile', at('ext'), '-out', at('pem'));
  return { key: readFileSync(at('key')), cert: readFileSync(at('pem')) };
}

/** Changes the result of one method of JSON-RPC. */
const result = (method, headers, change) => ({
  after: (exchange, answer) => {
    if (!exchange.text.includes(`"${method}"`) || !headers(exchange.headers)) return;
    const message = JSON.parse(answer.text);
    change(message.result);
    answer.text = JSON.stringify(message);
  },
});
const isModern = (headers) => headers['mcp-method'] !== undefined;
const header = (name, value) => ({ after: (_, { headers }) => { headers[name] = value; } });
const at = (path, change) => ({ after: (exchange, answer) => { if (exchange.path.startsWith(path)) change(answer, exchange); } });

let listed = 0;

/** What is wrong, the assertion that finds it, and words of what it says. */
const ROWS = [
  ['443 is closed', 'L2', 'ECONNREFUSED', () => ({ closed: true })],
  ['the certificate is for another name', 'L2', 'ERR_TLS_CERT_ALTNAME_INVALID', () => ({ tls: certificate('name') })],
  ['the certificate is of an unknown authority', 'L2', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', () => ({ tls: certificate('authority') })],
  ['the chain is not complete', 'L2', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', () => ({ tls: certificate('chain') })],
  ['plain HTTP is redirected for the time being', 'L3', '302 to https', () => ({ redirect: (path) => ({ status: 302, location: `${cluster.url}${path}` }) })],
  ['plain HTTP is served', 'L3', '200 to', () => ({ redirect: () => ({ status: 200 }) })],
  ['plain HTTP is redirected to somebody else', 'L3', '301 to https://other.example.com', () => ({ redirect: (path) => ({ status: 301, location: `https://other.example.com${path}` }) })],
  ['a caching CDN is in front', 'L4', 'x-cache: Miss from cloudfront', () => header('x-cache', 'Miss from cloudfront')],
  ['a proxy is in front', 'L4', 'via: 1.1 proxy', () => header('via', '1.1 proxy')],
  ['Cloudflare is in front', 'L4', 'server: cloudflare', () => header('server', 'cloudflare')],
  ['the health check fails', 'L5', '503', () => ({ before: ({ path, once }) => path === '/health' && once && { status: 503 } })],
  ['the challenge does not say where to log in', 'L6', 'challenge Bearer', () => at('/mcp', ({ headers }) => { if (headers['www-authenticate']) headers['www-authenticate'] = 'Bearer'; })],
  ['the metadata names another issuer', 'L6', 'issuer http://10.0.0.1:3000', () => at('/.well-known/oauth-authorization-server', (answer) => { answer.text = JSON.stringify({ ...JSON.parse(answer.text), issuer: 'http://10.0.0.1:3000' }); })],
  ['pages of strangers are let in', 'L7', '401', () => ({ before: ({ headers }) => headers.origin?.includes('hostile') && { status: 401 } })],
  ['every page may call', 'L8', '*, exposes', () => at('/mcp', ({ headers }, { method }) => { if (method === 'OPTIONS') headers['access-control-allow-origin'] = '*'; })],
  ['a tool is missing in the modern era', 'L9', 'without whoami', () => result('tools/list', isModern, (answer) => { answer.tools = answer.tools.filter(({ name }) => name !== 'whoami'); })],
  ['the legacy era is not offered', 'L10', '2026-07-28', () => result('server/discover', isModern, (answer) => { answer.supportedVersions = ['2026-07-28']; })],
  ['two tasks do not share sessions', 'L11', '10 of 20 failed: status 404', () => ({
    before: ({ headers, text }) => headers['mcp-session-id'] && text.includes('"tools/list"') && (listed += 1) % 2 === 0 && { status: 404, text: 'no such session' },
  })],
  ['tasks list different tools', 'L11', 'different lists', () => result('tools/list', (headers) => !isModern(headers), (answer) => { if ((listed += 1) % 2) answer.tools.reverse(); })],
  ['TLS 1.0 is spoken', 'L12', 'accepts TLSv1', () => ({ tls: { minVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' } })],
  ['a malformed session is served', 'L13', 'malformed 200', () => ({ before: ({ headers }) => headers['mcp-session-id'] === 'not-a-session' && { status: 200 } })],
  ['a foreign session is served', 'L13', 'foreign 200', () => ({ before: ({ headers }) => headers['mcp-session-id']?.startsWith('00000000-') && { status: 200 } })],
  ['HTTP/1.1 streams are cut', 'L14', 'then: it was ended', () => ({ stream: { version: 1, cutMs: 1_000 } })],
  ['streams begin late', 'L14', 'first byte 2', () => ({ stream: { version: 1, lateMs: 2_200 } })],
  ['a connection that was idle answers 502', 'L15', '200 then 502', () => {
    const asked = new Map();
    return { before: ({ path, once, socket }) => {
      if (path !== '/health' || once) return undefined;
      asked.set(socket, (asked.get(socket) ?? 0) + 1);
      return asked.get(socket) > 1 && { status: 502 };
    } };
  }],
  ['idle connections are closed early', 'L15', 'on 2 connections', () => ({ keepAliveMs: 500 })],
  ['the streams of calls are cut', 'L16', 'then: it was ended', () => ({ call: { cutMs: 1_000 } })],
  ['answers are passed on as a whole', 'L16', 'progress 9 times, without for 3', () => ({ call: { whole: true } })],
  ['HTTP/2 streams are no event streams', 'L17', 'application/json', () => ({ stream: { version: 2, type: 'application/json' } })],
  ['HTTP/2 streams are cut', 'L17', 'then: it was ended', () => ({ stream: { version: 2, cutMs: 1_000 } })],
  ['tasks run different commits', 'L18', 'ffffffffffff', () => at('/status', (answer) => { if ((listed += 1) % 2) answer.text = answer.text.replace(/"gitSha":"[0-9a-f]+"/, '"gitSha":"ffffffffffff"'); })],
  ['the load balancer sets no cookie', 'L19', 'none', () => at('/', ({ headers }) => { delete headers['set-cookie']; })],
];

test('a cluster passes every live assertion', async () => {
  const { code, failed, unknown, passed, shown } = await verify({});
  assert.deepEqual([...failed, ...unknown], [], shown);
  assert.equal(code, 0, shown);
  assert.ok(passed.length >= 19, shown);
});

for (const [what, id, words, wrong] of ROWS) {
  test(`${what}: ${id}`, async () => {
    const patient = ['L14', 'L15', 'L16', 'L17'].includes(id);
    const { code, failed, shown } = await verify(wrong(), { depth: patient ? '--full' : '--quick' });
    assert.deepEqual(failed.map((one) => one.id), [id], shown);
    assert.ok(failed[0].actual.includes(words), failed[0].actual);
    assert.ok(failed[0].fix, shown);
    assert.equal(code, 1);
  });
}
