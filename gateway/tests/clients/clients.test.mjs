// The real TypeScript clients, from the pasted URL to data: OAuth dance, list, every tool.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { Login, connect } from './support/login.mjs';
import { startStack } from './support/stack.mjs';
import { assertThirteen, callAll } from './support/tools.mjs';

let stack;
before(async () => { stack = await startStack(); });
after(() => stack?.stop());

const info = { name: 'client-tests', version: '1.0.0' };
const url = (path) => new URL(`${stack.gateway.url}${path}`);
const user = (name) => stack.google.users.find(({ email }) => email.startsWith(`${name}@`));

const kinds = {
  'SDK 1.32.2 over Streamable HTTP on /mcp': {
    client: () => new Client(info),
    transport: (authProvider) => new StreamableHTTPClientTransport(url('/mcp'), { authProvider }),
  },
  'SDK 1.32.2 over Streamable HTTP on /mcp/sse': {
    client: () => new Client(info),
    transport: (authProvider) => new StreamableHTTPClientTransport(url('/mcp/sse'), { authProvider }),
  },
  'SDK 1.32.2 over HTTP+SSE on /mcp/sse': {
    client: () => new Client(info),
    transport: (authProvider) => new SSEClientTransport(url('/mcp/sse'), { authProvider }),
  },
  'SDK 1.32.2 over HTTP+SSE on /mcp': {
    client: () => new Client(info),
    transport: (authProvider) => new SSEClientTransport(url('/mcp'), { authProvider }),
  },
  'client 2.4.0, legacy era': {
    client: () => new ClientV2(info, { versionNegotiation: { mode: 'legacy' } }),
    transport: (authProvider) => new TransportV2(url('/mcp'), { authProvider }),
  },
  'client 2.4.0, automatic era': {
    client: () => new ClientV2(info, { versionNegotiation: { mode: 'auto' } }),
    transport: (authProvider) => new TransportV2(url('/mcp'), { authProvider }),
    version: '2026-07-28',
  },
};

for (const [name, kind] of Object.entries(kinds)) {
  test(`${name}: logs in, lists 13 tools, calls each with the right user's data`, async () => {
    const ana = user('ana');
    const login = new Login(ana.email);
    const client = kind.client();
    await connect(client, kind.transport, login);
    assert.equal(login.logins, 1);
    if (kind.version) assert.equal(client.getNegotiatedProtocolVersion?.(), kind.version);
    const first = await assertThirteen(client);
    assert.deepEqual(await assertThirteen(client), first, 'the order is stable');
    const everything = await callAll(client, ana);
    for (const other of stack.google.users) {
      if (other.email !== ana.email) assert.ok(!everything.includes(other.canary), `no data of ${other.email}`);
    }
    await client.close();
  });
}

test('two people at once reconnect 50 times each and never see a byte of the other', async () => {
  const people = [user('ana'), user('ben')];
  await Promise.all(people.map(async (me, index) => {
    const other = people[1 - index];
    const login = new Login(me.email);
    const wire = [];
    const recording = async (input, init) => {
      const response = await fetch(input, init);
      if (response.body && response.headers.get('content-type')?.includes('json')) {
        response.clone().text().then((text) => wire.push(text));
      }
      return response;
    };
    for (let cycle = 0; cycle < 50; cycle += 1) {
      const client = new Client(info);
      const makeTransport = (authProvider) =>
        new StreamableHTTPClientTransport(url('/mcp'), { authProvider, fetch: recording });
      await connect(client, makeTransport, login);
      await assertThirteen(client);
      const result = await client.callTool({ name: 'gmail_list', arguments: { maxResults: 3 } });
      const text = JSON.stringify(result);
      assert.ok(text.includes(me.canary), text);
      await client.close();
    }
    assert.equal(login.logins, 1, 'one login is enough');
    assert.ok(wire.length >= 50 && !wire.join().includes(other.canary), `${me.email} saw ${other.email}`);
  }));
});

test('no secret of Google or of ours is in the log of the whole run', () => {
  const log = stack.gateway.child.output.join('\n');
  assert.ok(log.length > 1000, 'there is a log');
  for (const secret of [/google_[A-Za-z0-9_-]{20,}/, /eyJ[A-Za-z0-9_-]{20,}\./, /b2f81d0c97e64a35/, stack.google.clientSecret]) {
    assert.doesNotMatch(log, secret instanceof RegExp ? secret : new RegExp(secret));
  }
});
