import assert from 'node:assert/strict';
import { test } from 'node:test';
import { API, findMethod } from './api.mjs';
import { applyMask, checkMask, parseMask } from './mask.mjs';
import { conforms, emulator } from './testing.mjs';

const google = await emulator({ testUsers: 2 });
const ana = (await google.login('ana@example.com')).access_token;
const eve = (await google.login('eve@example.org')).access_token;

/** One successful request for every method, by its id. */
async function examples(google, token) {
  const [message] = (await google.read('/gmail/v1/users/me/messages?q=has:attachment', token)).messages;
  const mail = await google.read(`/gmail/v1/users/me/messages/${message.id}`, token);
  const [event] = (await google.read('/calendar/v3/calendars/primary/events', token)).items;
  const file = async (q) => (await google.read(`/drive/v3/files?q=${encodeURIComponent(q)}`, token)).files[0].id;
  const doc = await file("name = 'Project plan'");
  const sheet = await file("name = 'Budget 2026'");
  return {
    'gmail.users.getProfile': '/gmail/v1/users/me/profile',
    'gmail.users.labels.list': '/gmail/v1/users/me/labels',
    'gmail.users.messages.list': '/gmail/v1/users/me/messages',
    'gmail.users.messages.get': `/gmail/v1/users/me/messages/${message.id}`,
    'gmail.users.messages.attachments.get': `/gmail/v1/users/me/messages/${message.id}/attachments/${mail.payload.parts[1].body.attachmentId}`,
    'calendar.calendarList.list': '/calendar/v3/users/me/calendarList',
    'calendar.events.list': '/calendar/v3/calendars/primary/events?showDeleted=true',
    'calendar.events.get': `/calendar/v3/calendars/primary/events/${event.id}`,
    'drive.files.list': '/drive/v3/files?fields=*&includeItemsFromAllDrives=true&supportsAllDrives=true',
    'drive.files.get': `/drive/v3/files/${doc}?fields=*`,
    'drive.files.export': `/drive/v3/files/${doc}/export?mimeType=text/plain`,
    'docs.documents.get': `/v1/documents/${doc}?includeTabsContent=true`,
    'sheets.spreadsheets.get': `/v4/spreadsheets/${sheet}`,
    'sheets.spreadsheets.values.get': `/v4/spreadsheets/${sheet}/values/Sheet1`,
  };
}
const paths = await examples(google, ana);

test('every method of the extract is served, and every field of its answer is in Google\'s documents', async () => {
  assert.deepEqual(Object.keys(paths).sort(), Object.keys(API.methods).sort());
  for (const [id, path] of Object.entries(paths)) {
    assert.equal(findMethod('GET', path.split('?')[0]).method.id, id);
    if (API.methods[id].response) conforms(await google.read(path, ana), API.methods[id].response);
  }
});

test('the same start time gives the same world', async () => {
  const twin = await emulator({ testUsers: 2 });
  const token = (await twin.login('ana@example.com')).access_token;
  assert.deepEqual(await examples(twin, token), paths);
  for (const [id, path] of Object.entries(paths)) {
    const [one, two] = await Promise.all([(await google.get(path, ana)).text(), (await twin.get(path, token)).text()]);
    assert.equal(one, two, id);
  }
});

test('no bearer, an unknown one and an expired one are 401, and nobody else answers in their place', async () => {
  const { access_token: over } = await google.login('ben@example.com');
  await google.control('POST', 'tokens/expire', { email: 'ben@example.com' });
  for (const [id, path] of Object.entries(paths)) {
    for (const [token, reason] of [[undefined, 'CREDENTIALS_MISSING'], ['google_unknown', 'ACCESS_TOKEN_TYPE_UNSUPPORTED'], [over, 'ACCESS_TOKEN_EXPIRED']]) {
      const error = await google.refusal(path, token);
      assert.equal(error.code, 401, id);
      assert.equal(error.details[0].reason, reason);
    }
  }
});

test('an access token lasts as long as the setting says', async () => {
  await google.control('POST', 'settings', { expiresIn: 0.05 });
  const token = await google.login('ben@example.com');
  await google.control('POST', 'settings', { expiresIn: 3600 });
  assert.equal(token.expires_in, 1);
  const deadline = Date.now() + 5000;
  while ((await google.get('/gmail/v1/users/me/profile', token.access_token)).status !== 401) assert.ok(Date.now() < deadline);
});

test('a token without a fitting scope is 403 with the scopes that would do', async () => {
  const { access_token: token } = await google.login('ana@example.com', { scope: 'openid email' });
  for (const [id, path] of Object.entries(paths)) {
    const response = await google.get(path, token);
    const { error } = await response.json();
    assert.equal(error.code, 403, id);
    assert.equal(error.details[0].reason, 'ACCESS_TOKEN_SCOPE_INSUFFICIENT');
    assert.match(response.headers.get('www-authenticate'), /insufficient_scope/);
  }
});

test('what belongs to one person is not found by another', async () => {
  for (const id of ['gmail.users.messages.get', 'calendar.events.get', 'drive.files.get', 'drive.files.export', 'docs.documents.get', 'sheets.spreadsheets.get', 'sheets.spreadsheets.values.get']) {
    assert.equal((await google.refusal(paths[id], eve)).code, 404, id);
  }
  assert.equal((await google.refusal('/gmail/v1/users/ana@example.com/messages', eve)).code, 403);
  assert.equal((await google.refusal('/calendar/v3/calendars/ana@example.com/events', eve)).code, 404);
});

test('everything a person can read carries their own canary and no other', async () => {
  for (const { email, canary } of google.users) {
    const { access_token: token } = await google.login(email);
    const seen = [];
    const { messages } = await google.read('/gmail/v1/users/me/messages', token);
    for (const { id } of messages) {
      const { raw } = await google.read(`/gmail/v1/users/me/messages/${id}?format=raw`, token);
      seen.push(Buffer.from(raw, 'base64url').toString());
    }
    seen.push(JSON.stringify(await google.read('/calendar/v3/calendars/primary/events', token)));
    const { files } = await google.read("/drive/v3/files?q=name+!=+'Everything+ever+written'", token);
    for (const { id, mimeType } of files) {
      if (mimeType.endsWith('.document')) seen.push(JSON.stringify(await google.read(`/v1/documents/${id}`, token)));
      if (mimeType === 'text/plain') seen.push(await (await google.get(`/drive/v3/files/${id}?alt=media`, token)).text());
      if (mimeType.endsWith('.spreadsheet')) seen.push(JSON.stringify(await google.read(`/v4/spreadsheets/${id}/values/Sheet1`, token)));
    }
    const found = new Set(seen.join('\n').match(/canary-\w+-\w{10}/g));
    assert.deepEqual([...found], [canary]);
  }
});

test('a misspelt, mistyped or out-of-range parameter is refused', async () => {
  for (const path of ['/drive/v3/files?pagesize=1', '/drive/v3/files?pageSize=x', '/drive/v3/files?pageSize=1001', '/gmail/v1/users/me/messages?includeSpamTrash=yes', '/gmail/v1/users/me/messages?foo=1',
    '/calendar/v3/calendars/primary/events?timeMin=2026-01-01', '/calendar/v3/calendars/primary/events?timeMin=2026-01-01T00:00:00', '/calendar/v3/calendars/primary/events?orderBy=summary', '/drive/v3/files?alt=media']) {
    assert.equal((await google.refusal(path, ana)).code, 400, path);
  }
});

test('a mask selects fields at every depth', async () => {
  const select = (mask, value) => applyMask(value, parseMask(mask));
  const value = { a: 1, b: { c: 2, d: { e: 3 } }, f: [{ g: 4, h: 5 }, { g: 6 }] };
  assert.deepEqual(select('a', value), { a: 1 });
  assert.deepEqual(select('b/d/e,f/g', value), { b: { d: { e: 3 } }, f: [{ g: 4 }, { g: 6 }] });
  assert.deepEqual(select('b(c,d),b/d/e', value), { b: { c: 2, d: { e: 3 } } });
  assert.deepEqual(select('b(c),b', value), { b: value.b });
  assert.deepEqual(select('*', value), value);
  assert.deepEqual(select('b/*', value), { b: value.b });
  assert.deepEqual(select('b.c', value), { b: { c: 2 } });
  assert.deepEqual(select('', value), {});
});

test('a mask that is malformed or names an unknown field is refused', async () => {
  for (const mask of [',', 'a,', 'a(b', 'a)', 'a(b)c', 'a//b', 'a, b', 'a()']) assert.throws(() => parseMask(mask), { code: 400 }, mask);
  const check = (mask) => checkMask(parseMask(mask), 'drive.FileList', API.schemas);
  for (const mask of ['files(id,nmae)', 'files/id/x', 'pageToken', '*/nope']) assert.throws(() => check(mask), { code: 400 }, mask);
  for (const mask of ['files(id,owners/emailAddress)', 'files/*', 'nextPageToken,files(capabilities(canDownload),properties/any)']) assert.doesNotThrow(() => check(mask), mask);
});

test('masks work in every API, and Drive gives little without one', async () => {
  assert.deepEqual(Object.keys(await google.read(`${paths['docs.documents.get']}&fields=title,tabs(tabProperties/tabId)`, ana)), ['title', 'tabs']);
  assert.deepEqual(Object.keys(await google.read(`${paths['sheets.spreadsheets.values.get']}?fields=range`, ana)), ['range']);
  assert.deepEqual(await google.read('/gmail/v1/users/me/profile?fields=emailAddress', ana), { emailAddress: 'ana@example.com' });
  assert.deepEqual(Object.keys((await google.read('/calendar/v3/calendars/primary/events?fields=items(id,start/date)', ana)).items[0]), ['id', 'start']);
  assert.equal((await google.refusal('/calendar/v3/calendars/primary/events?fields=items(foo)', ana)).code, 400);
  const [file] = (await google.read('/drive/v3/files', ana)).files;
  assert.deepEqual(Object.keys(file), ['kind', 'id', 'name', 'mimeType']);
});

test('a method that is not served says so in Google\'s error shape', async () => {
  const response = await fetch(`${google.url}/gmail/v1/users/me/messages/send`, { method: 'POST', headers: { authorization: `Bearer ${ana}` } });
  assert.equal(response.status, 404);
  assert.equal((await response.json()).error.errors[0].reason, 'notFound');
});

test('a page token continues its own list and no other', async () => {
  for (const [path, field, other] of [['/gmail/v1/users/me/messages?maxResults=2', 'messages', '&q=from:carla'], ['/drive/v3/files?pageSize=3', 'files', '&orderBy=name'], ['/calendar/v3/calendars/primary/events?singleEvents=true&maxResults=4', 'items', '&q=stand']]) {
    const ids = [];
    for (let token = ''; token !== undefined;) {
      const answer = await google.read(`${path}${token && `&pageToken=${token}`}`, ana);
      if (answer.nextPageToken) assert.equal((await google.refusal(`${path}${other}&pageToken=${answer.nextPageToken}`, ana)).code, 400);
      ids.push(...answer[field].map(({ id }) => id));
      token = answer.nextPageToken;
    }
    const all = await google.read(path.replace(/&?(maxResults|pageSize)=\d/, ''), ana);
    assert.ok(ids.length > 4);
    assert.deepEqual(ids, all[field].map(({ id }) => id));
    assert.equal((await google.refusal(`${path}&pageToken=junk`, ana)).code, 400);
  }
});
