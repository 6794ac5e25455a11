// Calls every tool the way a model would: lists first, then opens what was listed.

import assert from 'node:assert/strict';

/** The core profile, sorted. */
export const TOOLS = [
  'calendar_get_event', 'calendar_list_events', 'docs_get_content', 'drive_get_content', 'drive_list',
  'drive_search', 'gmail_get', 'gmail_list', 'gmail_search', 'sheets_get_metadata', 'sheets_get_values',
  'test_auth', 'whoami',
];

const DOCUMENT = 'application/vnd.google-apps.document';
const SPREADSHEET = 'application/vnd.google-apps.spreadsheet';

/** Asserts that the list is the 13 names, in the order they always have. */
export async function assertThirteen(client) {
  const names = (await client.listTools()).tools.map((tool) => tool.name);
  assert.deepEqual([...names].sort(), TOOLS);
  return names;
}

async function call(client, name, args = {}) {
  const result = await client.callTool({ name, arguments: args });
  assert.notEqual(result.isError, true, `${name}: ${JSON.stringify(result)}`);
  assert.ok(result.structuredContent, `${name} has structured content`);
  assert.equal(result.content[0].type, 'text');
  return result.structuredContent;
}

/** Calls all 13 tools; returns everything that came back as one text. */
export async function callAll(client, user) {
  const seen = [];
  const use = async (name, args) => {
    const result = await call(client, name, args);
    seen.push([name, JSON.stringify(result)]);
    return result;
  };
  assert.equal((await use('whoami')).email, user.email);
  assert.equal((await use('test_auth')).authenticated, true);

  const { messages } = await use('gmail_list');
  assert.ok(messages.length > 0);
  await use('gmail_get', { messageId: messages[0].id });
  const found = await use('gmail_search', { query: `subject:${user.canary}`, maxResults: 5 });
  assert.ok(found.messages.length > 0, 'search finds the canary');

  const { events } = await use('calendar_list_events', { timeZone: 'Europe/Berlin' });
  assert.ok(events.length > 0);
  await use('calendar_get_event', { eventId: events[0].id });

  const all = [...(await use('drive_list', { maxResults: 50 })).files];
  for (const folder of all.filter((file) => file.mimeType === 'application/vnd.google-apps.folder')) {
    all.push(...(await use('drive_list', { folderId: folder.id, maxResults: 50 })).files);
  }
  const byType = (type) => {
    const file = all.find((candidate) => candidate.mimeType.startsWith(type));
    assert.ok(file, `a file of type ${type} in ${JSON.stringify(all)}`);
    return file.id;
  };
  await use('drive_search', { query: user.canary });
  await use('drive_get_content', { fileId: byType('text/') });
  await use('docs_get_content', { documentId: byType(DOCUMENT) });
  const spreadsheetId = byType(SPREADSHEET);
  const { sheets } = await use('sheets_get_metadata', { spreadsheetId });
  await use('sheets_get_values', { spreadsheetId, range: `${sheets[0].title}!A1:C10` });

  assert.deepEqual([...new Set(seen.map(([name]) => name))].sort(), TOOLS, 'every tool was called');
  for (const [name, text] of seen) {
    const aboutTheUser = ['whoami', 'test_auth', 'sheets_get_metadata'].includes(name);
    assert.ok(text.includes(aboutTheUser ? '' : user.canary), `${name} carries the user's own data: ${text}`);
  }
  return seen.map(([, text]) => text).join('\n');
}
