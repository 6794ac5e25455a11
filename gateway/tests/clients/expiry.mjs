// One session of a real client that outlives its tokens: `node expiry.mjs MCP_URL EMAIL sdk|client`.
//
// Logs in, lists the tools and says so in a line of JSON; then, for each line on standard input, calls a tool and
// says what came back. The Rust test that runs this moves the gateway's clock between the lines.

import { createInterface } from 'node:readline';

import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { Login, connect } from './support/login.mjs';

const [url, email, kind] = process.argv.slice(2);
const info = { name: 'expiry', version: '1.0.0' };
const kinds = {
  sdk: { client: () => new Client(info), Transport: StreamableHTTPClientTransport },
  client: { client: () => new ClientV2(info, { versionNegotiation: { mode: 'auto' } }), Transport: TransportV2 },
};

const login = new Login(email);
const makeTransport = (authProvider) => new kinds[kind].Transport(new URL(url), { authProvider });
const { client, transport } = await connect(kinds[kind].client, makeTransport, login);
const say = (result) => console.log(JSON.stringify({ result, logins: login.logins, session: transport.sessionId ?? null }));

say(await client.listTools());
for await (const line of createInterface({ input: process.stdin })) {
  say(await client.callTool({ name: line, arguments: {} }));
}
await client.close();
