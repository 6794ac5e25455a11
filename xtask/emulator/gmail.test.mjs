import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { header, parseMail, textOf, walk } from './mime.mjs';
import { emulator } from './testing.mjs';

// The search by age looks at today's clock, so this world starts today.
const google = await emulator({ now: Date.now() });
const token = (await google.login('ana@example.com')).access_token;
const { canary } = google.users[0];
const read = (path) => google.read(`/gmail/v1/users/me/${path}`, token);
const decode = (data) => Buffer.from(data, 'base64url').toString();
const names = new Map();

/** The seeded names (of their canaries) of the mails that a search finds, newest first. */
async function found(q, more = '') {
  const { messages = [], resultSizeEstimate } = await read(`messages?q=${encodeURIComponent(q)}${more}`);
  assert.equal(messages.length, resultSizeEstimate);
  return messages.map(({ id }) => names.get(id));
}

before(async () => {
  const { messages } = await read('messages?includeSpamTrash=true');
  for (const { id } of messages) {
    const { raw } = await read(`messages/${id}?format=raw`);
    names.set(id, new RegExp(`${canary}\\.mail-(\\w+-?\\d?)`).exec(decode(raw))[1].replace('-html', '').replace(/-$/, ''));
  }
});

test('mails come newest first, without trash unless it is asked for', async () => {
  const inboxAndSent = ['plain', 'alternative', 'attachment', 'latin1', 'japanese', 'long', 'thread-1', 'thread-2', 'thread-3'];
  assert.deepEqual((await found('')).sort(), inboxAndSent.sort());
  assert.deepEqual((await found('')).slice(0, 3), ['plain', 'alternative', 'attachment']);
  assert.ok((await found('', '&includeSpamTrash=true')).includes('trash'));
  assert.deepEqual(await found('in:trash'), ['trash']);
  assert.deepEqual(await found('', '&labelIds=TRASH'), ['trash']);
});

test('searches find what Gmail would', async () => {
  assert.deepEqual(await found('from:carla is:unread'), ['plain', 'thread-3']);
  assert.deepEqual(await found('from:carla -is:unread'), ['attachment', 'thread-1']);
  assert.deepEqual(await found('subject:lunch OR subject:"quarterly numbers"'), ['plain', 'alternative']);
  assert.deepEqual(await found('{subject:lunch subject:(quarterly numbers)}'), ['plain', 'alternative']);
  assert.deepEqual(await found('subject:(lunch OR chart)'), ['plain', 'attachment']);
  assert.deepEqual(await found('(from:carla subject:chart) OR is:starred'), ['alternative', 'attachment']);
  assert.deepEqual(await found('has:attachment'), ['attachment']);
  assert.deepEqual(await found('filename:png'), ['attachment']);
  assert.deepEqual(await found('filename:figures.csv -(is:starred)'), ['attachment']);
  assert.deepEqual(await found('newer_than:1d'), ['plain', 'alternative']);
  assert.deepEqual(await found('older_than:4d in:sent'), ['thread-2']);
  assert.deepEqual(await found('larger:50k'), ['long']);
  assert.deepEqual(await found('label:important'), ['plain']);
  assert.deepEqual(await found('category:updates'), ['long']);
  assert.deepEqual(await found('to:carla@example.com'), ['thread-2']);
  assert.deepEqual(await found('Grüße'), ['latin1']);
  assert.deepEqual(await found('資料'), ['japanese']);
  assert.deepEqual(await found(`${canary}.mail-plain`), ['plain']);
  assert.deepEqual(await found('rfc822msgid:nope@example.com'), []);
  assert.deepEqual(await found('quarter'), []);
  assert.deepEqual(await found('"numbers quarterly"'), []);
});

test('dates in a search are days or seconds', async () => {
  const day = (ago) => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10).replaceAll('-', '/');
  assert.deepEqual(await found(`before:${day(3)} in:inbox`), ['thread-3', 'thread-1']);
  assert.deepEqual(await found(`after:${Math.floor(Date.now() / 1000) - 4 * 3600}`), ['plain']);
});

test('odd searches are no errors', async () => {
  for (const q of ['(', ')', '{', '"', 'OR', '-', 'from:', 'nosuch:operator', '((((', 'a OR', '-(', ':']) await found(q);
});

test('a search that finds nothing leaves the list out', async () => {
  assert.deepEqual(await read('messages?q=from:nobody'), { resultSizeEstimate: 0 });
});

test('the payload shows the parts of the mail, its text as UTF-8 whatever its charset', async () => {
  const message = async (name) => read(`messages/${[...names].find(([, n]) => n === name)[0]}`);
  const alternative = await message('alternative');
  assert.deepEqual(alternative.payload.parts.map(({ partId, mimeType }) => [partId, mimeType]), [['0', 'text/plain'], ['1', 'text/html']]);
  assert.match(decode(alternative.payload.parts[0].body.data), /Smile: 😀/);
  const latin = await message('latin1');
  assert.match(decode(latin.payload.body.data), /Schöne Grüße aus Zürich, à bientôt/);
  assert.equal(header(latin.payload.headers, 'Subject'), 'Grüße aus Zürich');
  assert.equal(header(latin.payload.headers, 'From'), 'Jürg Müller <jurg@example.com>');
  assert.match(header(latin.payload.headers, 'Content-Type'), /ISO-8859-1/);
  const japanese = await message('japanese');
  assert.match(decode(japanese.payload.body.data), /会議の資料を確認してください。/);
  assert.equal(header(japanese.payload.headers, 'subject'), '会議のお知らせ');
  const long = await message('long');
  assert.ok(decode(long.payload.body.data).length > 60_000);
  assert.equal(long.payload.body.data.length % 4, 0);
});

test('attachments are fetched by their id, byte by byte', async () => {
  const [{ id }] = (await read('messages?q=has:attachment')).messages;
  const { payload } = await read(`messages/${id}`);
  const [, png, csv] = payload.parts;
  assert.equal(png.filename, 'chart.png');
  assert.equal(png.body.data, undefined);
  const data = Buffer.from((await read(`messages/${id}/attachments/${png.body.attachmentId}`)).data, 'base64url');
  assert.equal(data.length, png.body.size);
  assert.equal(data.subarray(1, 4).toString(), 'PNG');
  assert.match(decode((await read(`messages/${id}/attachments/${csv.body.attachmentId}`)).data), /^quarter,figure\nQ1,canary/);
  assert.equal((await google.refusal(`/gmail/v1/users/me/messages/${id}/attachments/nope`, token)).code, 400);
});

test('the smaller formats leave out what they should', async () => {
  const [{ id }] = (await read('messages?q=subject:lunch')).messages;
  assert.equal((await read(`messages/${id}?format=minimal`)).payload, undefined);
  const { payload } = await read(`messages/${id}?format=metadata&metadataHeaders=subject&metadataHeaders=From`);
  assert.deepEqual(payload.headers.map(({ name }) => name), ['From', 'Subject']);
  assert.equal(payload.body, undefined);
  assert.equal((await google.refusal(`/gmail/v1/users/me/messages/${id}?format=huge`, token)).code, 400);
});

test('a thread has one id', async () => {
  const { messages } = await read('messages?q=subject:kick-off');
  assert.equal(messages.length, 3);
  assert.equal(new Set(messages.map(({ threadId }) => threadId)).size, 1);
});

test('a mail with nested parts, folded headers and bytes above 127 is read as it was sent', () => {
  const mail = parseMail(Buffer.from([
    'Subject: =?UTF-8?B?R3LDvA==?=\r\n =?UTF-8?Q?=C3=9Fe_?= dich', 'Content-Type: multipart/mixed;\r\n boundary=outer', '',
    'preamble', '--outer', 'Content-Type: multipart/alternative; boundary="inner"', '', '--inner', 'Content-Type: text/plain; charset=ISO-8859-1', '', 'caf\xE9', '--inner--',
    '--outer', 'Content-Type: application/octet-stream', 'Content-Disposition: attachment; filename="b.bin"', '', '\x00\xFF', '--outer--', 'epilogue',
  ].join('\r\n'), 'latin1'));
  assert.equal(header(mail.headers, 'subject'), 'Grüße  dich');
  const [, inner, text, binary] = walk(mail);
  assert.equal(inner.parts.length, 1);
  assert.equal(textOf(text), 'café');
  assert.deepEqual([...binary.content], [0, 255]);
});
