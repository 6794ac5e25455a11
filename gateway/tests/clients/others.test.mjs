// Clients that are programs of their own: the MCP Inspector, and mcp-remote between a stdio client and our URL.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { Browser } from './support/browser.mjs';
import { Login, connect } from './support/login.mjs';
import { start } from './support/processes.mjs';
import { startStack } from './support/stack.mjs';
import { TOOLS, assertThirteen } from './support/tools.mjs';

const EMAIL = 'ana@example.com';
const modules = fileURLToPath(new URL('node_modules', import.meta.url));
// The Inspector needs a newer Node than the rest: the one that the lock file pins, where there is one.
const pinned = join(modules, '.bin/node');
const node = existsSync(pinned) ? pinned : process.execPath;

let stack;
/** Stands in for the home directory, so that nothing of a person's own is read or written. */
let home;
before(async () => {
  home = await mkdtemp(join(tmpdir(), 'clients-'));
  stack = await startStack();
});
after(async () => {
  await stack?.stop();
  await rm(home, { recursive: true, force: true });
});

test('MCP Inspector lists the tools and calls one', async () => {
  const login = new Login(EMAIL);
  const { client } = await connect(
    () => new Client({ name: 'token', version: '1.0.0' }),
    (authProvider) => new StreamableHTTPClientTransport(new URL(stack.gateway.mcp), { authProvider }),
    login,
  );
  await client.close();
  const inspect = async (...args) => {
    const child = start(node, [
      join(modules, '@modelcontextprotocol/inspector/clients/launcher/build/index.js'), '--cli', stack.gateway.mcp,
      '--transport', 'http', '--header', `Authorization: Bearer ${login.tokens().access_token}`, ...args,
    ], { env: { HOME: home, PATH: process.env.PATH } });
    child.stdin.end();
    const { code } = await child.exited;
    assert.equal(code, 0, child.output.join('\n'));
    return JSON.parse(child.printed.join('\n'));
  };
  const { tools } = await inspect('--method', 'tools/list');
  assert.deepEqual(tools.map(({ name }) => name).sort(), TOOLS);
  const result = await inspect('--method', 'tools/call', '--tool-name', 'gmail_list', '--tool-arg', 'maxResults=1');
  assert.notEqual(result.isError, true, JSON.stringify(result));
  assert.ok(JSON.stringify(result.structuredContent.messages).includes(EMAIL), JSON.stringify(result));
});

test('mcp-remote logs in once, lists the tools and calls one, and remembers the login', async () => {
  let logins = 0;
  for (const run of ['first', 'second']) {
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [join(modules, 'mcp-remote/dist/proxy.js'), stack.gateway.mcp],
      // Without a PATH it finds no program to open a browser with; the script is the browser.
      env: { HOME: home, MCP_REMOTE_CONFIG_DIR: home, PATH: '' },
      stderr: 'pipe',
    });
    const said = [];
    createInterface({ input: transport.stderr }).on('line', async (line) => {
      said.push(line);
      if (!line.startsWith(`${stack.gateway.url}/oauth/authorize?`)) return;
      logins += 1;
      const { location } = await new Browser().logIn(line.trim(), EMAIL);
      await fetch(location);
    });
    const client = new Client({ name: 'stdio', version: '1.0.0' });
    await client.connect(transport).catch((error) => assert.fail(`${run} start: ${error}\n${said.join('\n')}`));
    await assertThirteen(client);
    const { structuredContent } = await client.callTool({ name: 'whoami', arguments: {} });
    assert.equal(structuredContent.email, EMAIL);
    await client.close();
  }
  assert.equal(logins, 1);
});
