import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { CLIENT, emulator } from './testing.mjs';

const google = await emulator();
const [ana, ben] = await Promise.all(['ana@example.com', 'ben@example.com'].map((email) => google.login(email)));
const PATH = '/gmail/v1/users/me/profile';
const fault = (fault, match = { pathPrefix: PATH }, times = 1) => google.control('POST', 'faults', { match, fault, times });
const clear = () => google.control('DELETE', 'faults');

test('the named faults have the status and the reason that Google gives', async () => {
  const expected = { expired: [401, 'authError'], insufficient_scope: [403, 'insufficientPermissions'], service_disabled: [403, 'accessNotConfigured'], rate_limit: [403, 'userRateLimitExceeded'], too_many_requests: [429, 'rateLimitExceeded'], not_found: [404, 'notFound'], internal: [500, 'backendError'], unavailable: [503, 'backendError'] };
  for (const [kind, answer] of Object.entries(expected)) {
    await fault({ kind });
    const error = await google.refusal(PATH, ana.access_token);
    assert.deepEqual([error.code, error.errors[0].reason], answer);
  }
  assert.equal((await google.get(PATH, ana.access_token)).status, 200);
});

test('an API that is switched off says so in the details', async () => {
  await fault({ kind: 'service_disabled' });
  const { details } = await google.refusal(PATH, ana.access_token);
  assert.equal(details.find(({ reason }) => reason).reason, 'SERVICE_DISABLED');
  assert.equal(details.find(({ reason }) => reason).metadata.service, 'gmail.googleapis.com');
});

test('a status can be any, with Retry-After and a body of its own', async () => {
  await fault({ kind: 'too_many_requests', retryAfter: 7 });
  assert.equal((await google.get(PATH, ana.access_token)).headers.get('retry-after'), '7');
  await fault({ kind: 'status', status: 502, body: '<html>Bad gateway</html>' });
  const response = await google.get(PATH, ana.access_token);
  assert.equal(response.status, 502);
  assert.equal(await response.text(), '<html>Bad gateway</html>');
});

test('a fault is for the matching requests and as many of them as it says', async () => {
  await fault({ kind: 'internal' }, { email: 'ana@example.com', pathPrefix: '/gmail/', method: 'GET' }, 2);
  const status = async (token) => (await google.get(PATH, token)).status;
  assert.equal(await status(ben.access_token), 200);
  assert.deepEqual([await status(ana.access_token), await status(ana.access_token), await status(ana.access_token)], [500, 500, 200]);
});

test('a fault without a count stays until it is taken back', async () => {
  const { id } = await google.control('POST', 'faults', { match: { pathPrefix: '/gmail/' }, fault: { kind: 'unavailable' } });
  for (let i = 0; i < 3; i += 1) assert.equal((await google.get(PATH, ana.access_token)).status, 503);
  assert.equal((await google.control('GET', 'faults'))[0].id, id);
  await google.control('DELETE', `faults/${id}`);
  assert.equal((await google.get(PATH, ana.access_token)).status, 200);
});

test('the token endpoint fails for the owner of a refresh token or a code', async () => {
  await fault({ kind: 'unavailable' }, { pathPrefix: '/oauth2/token', email: 'ana@example.com' });
  const refresh = (token) => google.token({ grant_type: 'refresh_token', refresh_token: token.refresh_token });
  assert.equal((await refresh(ben)).status, 200);
  const failed = await refresh(ana);
  assert.equal(failed.status, 503);
  assert.equal((await failed.json()).error, 'internal_failure');
  assert.equal((await refresh(ana)).status, 200);
});

test('faults of the transport break the connection, the body or the patience', async () => {
  await fault({ kind: 'reset' });
  await assert.rejects(google.get(PATH, ana.access_token));
  await fault({ kind: 'truncate' });
  await assert.rejects(google.get(PATH, ana.access_token).then((r) => r.text()));
  await fault({ kind: 'blackhole' });
  await assert.rejects(fetch(google.url + PATH, { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' });
  await fault({ kind: 'delay', ms: 60 });
  const started = performance.now();
  assert.equal((await google.get(PATH, ana.access_token)).status, 200);
  assert.ok(performance.now() - started >= 59);
  await fault({ kind: 'drip', bytes: 40, ms: 1 });
  assert.equal(JSON.parse(await (await google.get(PATH, ana.access_token)).text()).emailAddress, 'ana@example.com');
});

test('a black hole everywhere leaves the handle of the tests alone', async () => {
  await fault({ kind: 'blackhole' }, { pathPrefix: '/' }, undefined);
  await assert.rejects(fetch(`${google.url}/.well-known/openid-configuration`, { signal: AbortSignal.timeout(50) }));
  assert.equal((await google.control('GET', '')).ok, true);
  await clear();
  assert.equal((await google.get('/.well-known/openid-configuration')).status, 200);
});

test('nonsense is refused with a reason', async () => {
  for (const body of [{}, { fault: { kind: 'nope' } }, { fault: { kind: 'status' } }, { fault: { kind: 'delay' } }, { fault: { kind: 'reset' }, match: { user: 'ana' } }, { fault: { kind: 'reset' }, times: 0 }, []]) {
    assert.match((await google.control('POST', 'faults', body)).error, /\w/);
  }
  assert.match((await google.control('POST', 'settings', { expiresIn: -1 })).error, /expiresIn/);
  assert.match((await google.control('POST', 'settings', { expires: 1 })).error, /expires/);
  assert.match((await google.control('POST', 'tokens/expire', { email: 'nobody@example.com' })).error, /nobody/);
  assert.deepEqual(await google.control('GET', 'faults'), []);
});

test('revoked people get invalid_grant, expired ones a new token', async () => {
  const eve = await google.login('eve@example.org');
  const refresh = () => google.token({ grant_type: 'refresh_token', refresh_token: eve.refresh_token });
  assert.deepEqual(await google.control('POST', 'tokens/expire', { email: 'eve@example.org' }), { tokens: 1 });
  assert.equal((await google.get(PATH, eve.access_token)).status, 401);
  const renewed = await (await refresh()).json();
  assert.equal((await google.get(PATH, renewed.access_token)).status, 200);
  await google.control('POST', 'tokens/revoke', { email: 'eve@example.org' });
  const { seq } = (await google.control('GET', 'journal')).at(-1);
  assert.equal((await google.get(PATH, renewed.access_token)).status, 401);
  assert.equal((await (await refresh()).json()).error, 'invalid_grant');
  const refused = await google.control('GET', `journal?since=${seq}`);
  assert.deepEqual(refused.map(({ email, status }) => [email, status]), [['eve@example.org', 401], ['eve@example.org', 400]], 'the journal knows whose tokens they were');
});

test('the journal tells who asked for what with which outcome, and no token', async () => {
  await google.control('DELETE', 'journal');
  await fault({ kind: 'internal' }, { pathPrefix: '/drive/' });
  await google.get(`${PATH}?fields=emailAddress`, ana.access_token);
  await google.get('/drive/v3/files', ben.access_token);
  await google.get('/drive/v3/files?access_token=secret', 'wrong');
  await google.token({ grant_type: 'refresh_token', refresh_token: ben.refresh_token });
  const entries = await google.control('GET', 'journal');
  assert.deepEqual(entries.map(({ method, path, query, email, status, faulted }) => [method, path, query, email, status, faulted]), [
    ['GET', PATH, 'fields=emailAddress', 'ana@example.com', 200, undefined],
    ['GET', '/drive/v3/files', '', 'ben@example.com', 500, 'internal'],
    ['GET', '/drive/v3/files', '', null, 401, undefined],
    ['POST', '/oauth2/token', '', 'ben@example.com', 200, undefined],
  ]);
  assert.match(entries[0].token, /^[0-9a-f]{16}$/);
  const text = JSON.stringify(entries);
  for (const token of [ana.access_token, ben.access_token, ben.refresh_token, CLIENT.secret]) assert.ok(!text.includes(token));
  assert.deepEqual(await google.control('GET', `journal?since=${entries[2].seq}`), entries.slice(3));
});

test('neither server is reachable from another machine', async () => {
  const { networkInterfaces } = await import('node:os');
  const outside = Object.values(networkInterfaces()).flat().find(({ internal, family }) => !internal && family === 'IPv4');
  for (const port of [new URL(google.url).port, google.innerPort]) {
    const reachable = async (host) => {
      const socket = net.connect(port, host);
      return Promise.race([once(socket, 'connect').then(() => true, () => false)]).finally(() => socket.destroy());
    };
    assert.equal(await reachable('127.0.0.1'), true);
    if (outside) assert.equal(await reachable(outside.address), false);
  }
});

/** Runs the program; resolves to the child and its first line of output. */
async function run(...options) {
  const child = spawn(process.execPath, [new URL('server.mjs', import.meta.url).pathname, ...options]);
  const [line] = await once(child.stdout, 'data');
  return { child, ready: JSON.parse(line), exit: once(child, 'exit') };
}

test('the program says where it is and ends at once on SIGTERM or when its parent is gone', async () => {
  const [first, second] = await Promise.all([run('--test-users', '12', '--client-id', 'me'), run('--exit-with-parent')]);
  assert.equal(first.ready.clientId, 'me');
  assert.deepEqual(first.ready.users.map(({ email }) => email).slice(2, 5), ['eve@example.org', 't01@example.com', 't02@example.com']);
  assert.equal(new Set(first.ready.users.map(({ canary }) => canary)).size, 15);
  assert.equal((await (await fetch(`${first.ready.url}/_emulator`)).json()).users, 16);
  first.child.kill('SIGTERM');
  assert.deepEqual(await first.exit, [0, null]);
  second.child.stdin.end();
  assert.deepEqual(await second.exit, [0, null]);
});

test('the program refuses options it does not know', async () => {
  const child = spawn(process.execPath, [new URL('server.mjs', import.meta.url).pathname, '--port', 'x']);
  const [code] = await once(child, 'exit');
  assert.equal(code, 64);
});
