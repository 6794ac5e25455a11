// A gateway as in AWS: its own process, DynamoDB and KMS by the network. Either goes away for a while.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { createKey, createTable } from './support/aws.mjs';
import { Browser } from './support/browser.mjs';
import { Login, connect } from './support/login.mjs';
import { stop, until } from './support/processes.mjs';
import { startGateway, startGoogle } from './support/stack.mjs';
import { startStoreFaults } from './support/store-faults.mjs';

const dynamodb = process.env.STORE_CONTRACT_ENDPOINT;
const kms = process.env.KMS_CONTRACT_ENDPOINT;
/** What tasks tell each other; it goes on whatever clients do. */
const FLEET = /fleet|denied_grants/;

let google;
let gateway;
let tables;
let keys;
let ana;

before(async () => {
  assert.ok(dynamodb && kms, '`cargo xtask test clients` starts DynamoDB and KMS and says where they are');
  google = await startGoogle();
  tables = await startStoreFaults(dynamodb);
  keys = await startStoreFaults(kms);
  gateway = await startGateway(google, await settings());
  const login = new Login('ana@example.com');
  ana = await connect(
    () => new Client({ name: 'outages', version: '1' }),
    (authProvider) => new StreamableHTTPClientTransport(new URL(gateway.mcp), { authProvider }),
    login,
  );
  ana.login = login;
  await works();
});

after(async () => {
  await ana?.client.close();
  await gateway?.stop();
  await Promise.all([tables?.stop(), keys?.stop()]);
  if (google) await stop(google.child);
});

async function settings() {
  const run = `${process.pid}-${Date.now()}`;
  const env = {
    STORE: 'dynamodb',
    DYNAMODB_ENDPOINT: tables.url,
    SESSIONS_TABLE: `sessions-${run}`,
    TOKENS_TABLE: `tokens-${run}`,
    KMS_ENDPOINT: keys.url,
    KMS_KEY_ARN: await createKey(kms),
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_REGION: 'us-east-1',
    AWS_EC2_METADATA_DISABLED: 'true',
  };
  await Promise.all([env.SESSIONS_TABLE, env.TOKENS_TABLE].map((name) => createTable(dynamodb, name)));
  return env;
}

/** A call that needs ana's Google token. */
async function works() {
  const result = await ana.client.callTool({ name: 'gmail_list', arguments: {} });
  assert.notEqual(result.isError, true, JSON.stringify(result));
}

/** How a new login ends: the status of its last page, or a code. */
async function newLogin(email) {
  const login = new Login(email);
  const registered = await fetch(`${gateway.url}/oauth/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(login.clientMetadata),
  });
  if (registered.status !== 201) return { status: registered.status };
  const { client_id } = await registered.json();
  const query = new URLSearchParams({
    response_type: 'code', client_id, redirect_uri: login.redirectUrl, state: 's', scope: 'mcp',
    resource: gateway.mcp, code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256',
  });
  const { location, status } = await new Browser().logIn(`${gateway.url}/oauth/authorize?${query}`, email);
  return { status, code: location?.searchParams.get('code') };
}

test('a warm call asks neither DynamoDB nor KMS for anything', async () => {
  await new Promise((resolve) => setTimeout(resolve, 500));
  const forClients = () => tables.total((name) => !FLEET.test(name)) + keys.total();
  const count = forClients();
  for (let n = 0; n < 20; n += 1) await works();
  assert.equal(forClients(), count, JSON.stringify(tables.counts));
});

test('while KMS is gone known people work, new logins get 503, and then all is well by itself', async () => {
  for (const faults of [{ gone: 'refuse' }, { throttle: 1 }]) {
    await newLogin('ben@example.com');
    // A login of the last seconds says that KMS works.
    await new Promise((resolve) => setTimeout(resolve, 11_000));
    keys.set(faults);
    await works();
    assert.equal((await newLogin('ben@example.com')).status, 503, JSON.stringify(faults));
    await works();
    keys.set({});
    const { code } = await newLogin('ben@example.com');
    assert.ok(code, 'a new login');
  }
});

test('while DynamoDB is gone known people work, a start is healthy, and then all is well by itself', async () => {
  tables.set({ gone: 'refuse' });
  for (let n = 0; n < 10; n += 1) await works();
  const refused = await fetch(`${gateway.url}/oauth/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      grant_type: 'refresh_token', client_id: ana.login.clientInformation().client_id,
      refresh_token: ana.login.tokens().refresh_token,
    }),
  });
  assert.equal(refused.status, 400);
  assert.equal((await refused.json()).error, 'temporarily_unavailable');
  assert.equal((await newLogin('ben@example.com')).status, 503);
  assert.equal((await fetch(`${gateway.url}/health`)).status, 200);
  tables.set({});
  const login = await until('a new login', async () => (await newLogin('ben@example.com')).code);
  assert.ok(login);
  await works();
});
