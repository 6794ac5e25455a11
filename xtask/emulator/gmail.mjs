// Gmail: mail lives in emulate; its parts, the search and the pages are ours.

import { createHash } from 'node:crypto';
import { GoogleError } from './errors.mjs';
import { messageFilter } from './gmail-query.mjs';
import { header, parseMail, textOf, walk } from './mime.mjs';
import { page } from './paging.mjs';

const notFound = () => new GoogleError(404, 'Requested entity was not found.', { reason: 'notFound' });
/** Gmail's base64url is padded, which Node's is not. */
const base64url = (bytes) => bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_');
const attachmentId = (message, partId) => `ANGjdJ${createHash('sha256').update(`${message.id}/${partId}`).digest('base64url')}`;

/** The handlers of Gmail's methods. */
export function gmailApi(inner, world) {
  const boxes = new Map();
  const ask = async (email, path) => (await inner.request('GET', `/gmail/v1/users/me/${path}`, { bearer: world.bearers.get(email) })).json();
  // Nothing here changes mail, so a mailbox is read out of emulate once.
  const mailbox = (email) => {
    if (!boxes.has(email)) boxes.set(email, readBox((path) => ask(email, path)));
    return boxes.get(email);
  };
  const guarded = (handler) => (call) => {
    const { userId } = call.params;
    if (userId === 'me' || userId === call.email) return handler(call);
    throw new GoogleError(403, `Delegation denied for ${call.email}`, { reason: 'forbidden' });
  };
  const one = async ({ email, params }) => {
    const message = (await mailbox(email)).find(({ id }) => id === (params.messageId ?? params.id));
    if (!message) throw notFound();
    return message;
  };
  const handlers = {
    'gmail.users.messages.list': async ({ email, query }) => ({ json: list(await mailbox(email), query) }),
    'gmail.users.messages.get': async (call) => ({ json: resource(await one(call), call.query) }),
    'gmail.users.messages.attachments.get': async (call) => ({ json: attachment(await one(call), call.params.id) }),
    'gmail.users.labels.list': async ({ email }) => ({ json: labels(await ask(email, 'labels')) }),
    'gmail.users.getProfile': async ({ email }) => ({ json: profile(email, await mailbox(email)) }),
  };
  return Object.fromEntries(Object.entries(handlers).map(([id, handler]) => [id, guarded(handler)]));
}

async function readBox(ask) {
  const { messages } = await ask('messages?maxResults=500&includeSpamTrash=true');
  return Promise.all(messages.map(async ({ id }) => {
    const message = await ask(`messages/${id}?format=raw`);
    const bytes = Buffer.from(message.raw, 'base64url');
    const mail = parseMail(bytes);
    const parts = [...walk(mail)];
    const shown = parts.filter((part) => part.mimeType.startsWith('text/') && !part.filename);
    const fields = ['from', 'to', 'cc', 'bcc', 'subject', 'message-id'].map((name) => [name, header(mail.headers, name) ?? '']);
    return {
      ...message,
      historyId: message.internalDate, // emulate's are random, and too long for the uint64 that Google's are
      bytes,
      mail,
      fields: Object.fromEntries(fields),
      body: shown.map((part) => textOf(part).replace(/<[^>]*>/g, ' ')).join('\n'),
      filenames: parts.map((part) => part.filename).filter(Boolean),
    };
  }));
}

function list(messages, query) {
  const q = query.get('q') ?? '';
  const labelIds = query.getAll('labelIds');
  const everywhere = query.get('includeSpamTrash') === 'true' || /\bin:(anywhere|spam|trash)\b/i.test(q) || labelIds.some((id) => id === 'SPAM' || id === 'TRASH');
  const matches = messageFilter(q);
  const found = messages.filter(({ labelIds: has }) => everywhere || !(has.includes('SPAM') || has.includes('TRASH')))
    .filter(({ labelIds: has }) => labelIds.every((id) => has.includes(id)))
    .filter(matches);
  const size = Math.min(Math.max(Number(query.get('maxResults') ?? 100), 1), 500);
  const { items, next } = page(found, size, query.get('pageToken'), [q, labelIds, everywhere]);
  return {
    // Gmail leaves an empty list out.
    messages: items.length > 0 ? items.map(({ id, threadId }) => ({ id, threadId })) : undefined,
    nextPageToken: next,
    resultSizeEstimate: found.length,
  };
}

function resource(message, query) {
  const { id, threadId, labelIds, snippet, historyId, internalDate, bytes, mail } = message;
  const base = { id, threadId, labelIds, snippet, sizeEstimate: bytes.length, historyId, internalDate };
  const format = query.get('format') ?? 'full';
  if (format === 'minimal') return base;
  if (format === 'raw') return { ...base, raw: base64url(bytes) };
  if (format === 'full') return { ...base, payload: payload(message, mail, '') };
  const wanted = query.getAll('metadataHeaders').map((name) => name.toLowerCase());
  const headers = mail.headers.filter(({ name }) => wanted.length === 0 || wanted.includes(name.toLowerCase()));
  return { ...base, payload: { mimeType: mail.mimeType, headers } };
}

/** A part as the API shows it: text as UTF-8 whatever its header says, attachments by reference. */
function payload(message, part, partId) {
  const { mimeType, filename, headers } = part;
  const shown = { partId, mimeType, filename, headers };
  if (part.parts.length > 0) {
    const parts = part.parts.map((child, i) => payload(message, child, partId ? `${partId}.${i}` : String(i)));
    return { ...shown, body: { size: 0 }, parts };
  }
  if (filename) return { ...shown, body: { attachmentId: attachmentId(message, partId), size: part.content.length } };
  const data = mimeType.startsWith('text/') ? Buffer.from(textOf(part)) : part.content;
  return { ...shown, body: { size: data.length, data: base64url(data) } };
}

function attachment(message, wanted) {
  const find = (part, partId) => {
    if (part.filename && attachmentId(message, partId) === wanted) return part;
    return part.parts.map((child, i) => find(child, partId ? `${partId}.${i}` : String(i))).find(Boolean);
  };
  const part = find(message.mail, '');
  if (!part) throw new GoogleError(400, 'Invalid attachment token', { reason: 'invalidArgument' });
  return { size: part.content.length, data: base64url(part.content) };
}

/** emulate's labels without the counts, which Gmail gives for one label only. */
function labels({ labels: all }) {
  const keep = ({ id, name, type, messageListVisibility, labelListVisibility, color }) => ({ id, name, type, messageListVisibility, labelListVisibility, color });
  return { labels: all.map(keep) };
}

function profile(email, messages) {
  const threads = new Set(messages.map(({ threadId }) => threadId));
  return { emailAddress: email, messagesTotal: messages.length, threadsTotal: threads.size, historyId: messages[0].historyId };
}
