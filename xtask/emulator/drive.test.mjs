import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { emulator } from './testing.mjs';

const google = await emulator();
const ana = (await google.login('ana@example.com')).access_token;
const { canary } = google.users[0];
const list = (options) => google.read(`/drive/v3/files?${new URLSearchParams(options)}`, ana);
const names = async (q, options = {}) => (await list({ q, ...options })).files.map(({ name }) => name).sort();
const id = async (q, options) => (await list({ q, ...options })).files[0].id;
const shared = { includeItemsFromAllDrives: 'true', supportsAllDrives: 'true' };
const export_ = async (q, type) => google.get(`/drive/v3/files/${await id(q)}/export?mimeType=${encodeURIComponent(type)}`, ana);
const reason = async (path) => {
  const { code, errors } = await google.refusal(path, ana);
  return [code, errors[0].reason];
};

test('queries select by name, type, parent, text, time and state', async () => {
  assert.deepEqual(await names("name = 'notes.txt'"), ['notes.txt']);
  assert.deepEqual(await names("name contains 'note'"), ['notes.txt', 'old notes.txt']);
  assert.deepEqual(await names("name contains 'otes'"), []);
  assert.deepEqual(await names("name contains 'note' and trashed = false"), ['notes.txt']);
  assert.deepEqual(await names("mimeType = 'application/vnd.google-apps.folder'"), ['Archive', 'Projects']);
  assert.deepEqual(await names("mimeType contains 'text/' and not trashed = true"), ['notes.txt', 'report.md']);
  assert.deepEqual(await names("'root' in parents and mimeType != 'application/vnd.google-apps.folder' and trashed=false"), ['Budget 2026', 'notes.txt', 'photo.bin']);
  assert.deepEqual(await names(`'${await id("name='Projects'")}' in parents`), ['Archive', 'Launch deck', 'Project plan', 'report.md']);
  assert.deepEqual(await names(`fullText contains '"${canary}.doc-plan-nested"'`), ['Project plan']);
  assert.deepEqual(await names("fullText contains 'power rent'"), ['Budget 2026']);
  assert.deepEqual(await names("fullText contains '\"power rent\"'"), []);
  assert.deepEqual(await names("starred = true or name = 'report.md'"), ['Project plan', 'report.md']);
  assert.deepEqual(await names("(starred = true or name = 'report.md') and mimeType = 'text/markdown'"), ['report.md']);
  assert.deepEqual(await names("modifiedTime > '2026-03-22T11:59:59Z'"), ['Budget 2026', 'Project plan', 'Projects']);
  assert.deepEqual(await names("'ana@example.com' in owners and name='Minutes'"), ['Minutes']);
  assert.deepEqual(await names('sharedWithMe'), []);
  assert.deepEqual(await names("name = 'it\\'s' or name = '\\\\'"), []);
});

test('a text that is no query is refused', async () => {
  for (const q of ['notes', "name ~ 'x'", "name = 'x", "name = 'x' and", "(name = 'x'", "nmae = 'x'", "trashed = 'x'", "name = 'x' name = 'y'", "'root' in name", "fullText = 'x'", "modifiedTime > 'yesterday'"]) {
    assert.deepEqual(await reason(`/drive/v3/files?q=${encodeURIComponent(q)}`), [400, 'invalid'], q);
  }
});

test('the order is the one asked for, and full-text search has none', async () => {
  const sorted = (await list({ orderBy: 'folder,name desc' })).files.map(({ name }) => name);
  assert.deepEqual(sorted.slice(0, 3), ['Projects', 'Archive', 'report.md']);
  assert.deepEqual(await reason('/drive/v3/files?orderBy=size'), [400, 'invalid']);
  assert.deepEqual(await reason(`/drive/v3/files?orderBy=name&q=${encodeURIComponent("fullText contains 'x'")}`), [403, 'forbidden']);
});

test('items of a shared drive need the switches for them', async () => {
  const q = "name = 'Team charter'";
  assert.deepEqual(await names(q), []);
  assert.deepEqual(await names(q, shared), ['Team charter']);
  const { files: [charter] } = await list({ q, ...shared, fields: 'files(id,driveId,owners,parents)' });
  assert.equal(charter.owners, undefined);
  assert.deepEqual(charter.parents, [charter.driveId]);
  assert.deepEqual(await names(q, { ...shared, corpora: 'drive', driveId: charter.driveId }), ['Team charter']);
  assert.deepEqual(await names("name = 'Minutes'", { ...shared, corpora: 'drive', driveId: charter.driveId }), []);
  assert.equal((await google.get(`/drive/v3/files/${charter.id}`, ana)).status, 404);
  assert.equal((await google.get(`/drive/v3/files/${charter.id}?supportsAllDrives=true`, ana)).status, 200);
  for (const query of ['corpora=drive', 'corpora=allDrives', 'includeItemsFromAllDrives=true', `driveId=${charter.driveId}`, 'corpora=all']) {
    assert.equal((await reason(`/drive/v3/files?${query}`))[0], 400, query);
  }
});

test('alt=media gives the very bytes, whole or a range of them', async () => {
  const file = await google.read(`/drive/v3/files/${await id("name = 'photo.bin'")}?fields=id,size,md5Checksum`, ana);
  const whole = Buffer.from(await (await google.get(`/drive/v3/files/${file.id}?alt=media`, ana)).arrayBuffer());
  assert.equal(String(whole.length), file.size);
  assert.equal(createHash('md5').update(whole).digest('hex'), file.md5Checksum);
  const range = async (value) => {
    const response = await google.get(`/drive/v3/files/${file.id}?alt=media`, ana, { range: value });
    return [response.status, response.headers.get('content-range'), (await response.arrayBuffer()).byteLength];
  };
  assert.deepEqual(await range('bytes=0-9'), [206, 'bytes 0-9/2048', 10]);
  assert.deepEqual(await range('bytes=2040-'), [206, 'bytes 2040-2047/2048', 8]);
  assert.deepEqual(await range('bytes=-5'), [206, 'bytes 2043-2047/2048', 5]);
  assert.deepEqual(await range('bytes=5000-'), [416, 'bytes */2048', 0]);
  assert.deepEqual(await reason(`/drive/v3/files/${await id('starred = true')}?alt=media`), [403, 'fileNotDownloadable']);
});

test('Docs, Sheets and Slides are exported to the types they have', async () => {
  const plain = Buffer.from(await (await export_('starred = true', 'text/plain')).arrayBuffer());
  assert.deepEqual([...plain.subarray(0, 3)], [0xef, 0xbb, 0xbf]);
  assert.match(plain.toString(), new RegExp(`Project plan\r\nThis plan is confidential. ${canary}.doc-plan 😀`));
  assert.match(plain.toString(), new RegExp(`${canary}.doc-plan-nested`));
  const markdown = await (await export_('starred = true', 'text/markdown')).text();
  assert.match(markdown, /^# Project plan\n/);
  assert.match(markdown, /\*\*confidential\*\*/);
  assert.match(markdown, /\[the site\]\(https:\/\/example\.com\/plan\)/);
  assert.match(markdown, /\| Phase \| Owner \| Due \|\n\| :---- \| :---- \| :---- \|/);
  const csv = await (await export_("name contains 'Budget'", 'text/csv')).text();
  assert.match(csv, /^Item,Amount,Paid,Date,Note\r\nRent,"\$1,200\.00",TRUE,2026-01-01,canary/);
  assert.match(await (await export_("name contains 'deck'", 'text/plain')).text(), /One more thing/);
});

test('an export that Google refuses is refused', async () => {
  const path = async (q, type) => `/drive/v3/files/${await id(q)}/export?mimeType=${type}`;
  assert.deepEqual(await reason(await path('starred = true', 'text/csv')), [400, 'badRequest']);
  assert.deepEqual(await reason(await path("name = 'notes.txt'", 'text/plain')), [403, 'fileNotExportable']);
  assert.deepEqual(await reason(await path("name contains 'Everything'", 'text/plain')), [403, 'exportSizeLimitExceeded']);
  assert.deepEqual(await reason(`/drive/v3/files/${await id('starred = true')}/export`), [400, 'required']);
  assert.deepEqual(await reason('/drive/v3/files/nope/export?mimeType=text/plain'), [404, 'notFound']);
});

test('root is the folder above the first ones', async () => {
  const root = await google.read('/drive/v3/files/root?fields=id,name', ana);
  assert.equal(root.name, 'My Drive');
  const { parents } = await google.read(`/drive/v3/files/${await id("name = 'Projects'")}?fields=parents`, ana);
  assert.deepEqual(parents, [root.id]);
});
