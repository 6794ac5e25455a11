// The saved queries of the infrastructure, and its count of errors, find what they are for in what a gateway logs.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { before, test } from 'node:test';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { events, metricFilter, query } from './support/insights.mjs';
import { Login, connect } from './support/login.mjs';
import { startStack } from './support/stack.mjs';

// The tests of the infrastructure keep the file equal to what is deployed.
const templates = JSON.parse(await readFile(new URL('../../../infra/test/snapshots/production.json', import.meta.url), 'utf8'));
const resources = Object.values(templates.observability.Resources);
const properties = (type) => resources.filter((resource) => resource.Type === type).map((resource) => resource.Properties);
const queries = new Map(properties('AWS::Logs::QueryDefinition').map((one) => [one.Name.split('/').at(-1), one.QueryString]));

const STREAMS = 3;
let log;
/** The log without the start: until the store is ready, whoever asks too early is an error. */
let served;

const client = () => new Client({ name: 'queries', version: '1' });
const logIn = (gateway, email) =>
  connect(client, (authProvider) => new StreamableHTTPClientTransport(new URL(gateway.mcp), { authProvider }), new Login(email));

/** A life in short: it starts, serves streams, meets a Google that is broken, and stops. */
before(async () => {
  const stack = await startStack({ LOG_LEVEL: 'info' });
  const early = stack.gateway.child.printed.length;
  const email = (name) => stack.google.users.find((user) => user.email.startsWith(`${name}@`)).email;
  for (let count = 0; count < STREAMS; count += 1) {
    // The client opens a stream of its own after the hand-shake; one that it closes is one that disconnects.
    const connected = await logIn(stack.gateway, email('ana'));
    await seen(stack.gateway, 'SSE stream initiated', count + 1);
    await connected.client.close();
    await seen(stack.gateway, 'stream disconnected', count + 1);
  }
  const fault = { match: { email: email('ben'), pathPrefix: '/oauth2/token' }, fault: { kind: 'status', status: 418, body: {} }, times: 1 };
  await fetch(`${stack.google.url}/_emulator/faults`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(fault) });
  await assert.rejects(logIn(stack.gateway, email('ben')), /server_error/);
  await stack.stop();
  log = events(stack.gateway.child.printed);
  served = log.slice(early);
});

async function seen({ child }, words, times) {
  for (const end = Date.now() + 10_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 20))) {
    if (child.printed.filter((line) => line.includes(words)).length >= times) return;
  }
  assert.fail(`\`${words}\` was not logged ${times} times:\n${child.printed.join('\n')}`);
}

const messages = (name, lines = log) => query(queries.get(name), lines).map((row) => row.message);

test('streams opened: each is counted once', () => {
  const bins = query(queries.get('streams opened'), log);
  assert.equal(bins.reduce((sum, { streams }) => sum + streams, 0), STREAMS);
});

test('drains: the beginning of the stop, and nothing else', () => {
  assert.deepEqual(messages('drains'), ['assuming drain: streams are closed, calls in flight finish']);
});

test('errors: the login that Google ended, and no line of a healthy life', () => {
  assert.deepEqual(messages('errors', served), ["the identity provider's answer ends a login"]);
});

test('disconnects: one for each stream', () => {
  const found = messages('disconnects');
  assert.equal(found.length, STREAMS, found.join('\n'));
  for (const message of found) assert.match(message, /^stream disconnected after \d+s$/);
});

test('restarts: the latest stop first, then the start', () => {
  assert.deepEqual(messages('restarts'), ['stopped', 'listening']);
});

test('every saved query is tested here', () => {
  assert.deepEqual([...queries.keys()].sort(), ['disconnects', 'drains', 'errors', 'restarts', 'streams opened']);
});

test('the alarm counts the same errors as the query finds', () => {
  const [{ FilterPattern }] = properties('AWS::Logs::MetricFilter');
  assert.deepEqual(metricFilter(FilterPattern, log).map((row) => row.message).sort(), messages('errors').sort());
});

test('a query about something that nobody logs finds nothing, and an unknown command is refused', () => {
  assert.deepEqual(query('fields @message | filter @message like /no such words/', log), []);
  assert.deepEqual(query('filter level = "error"', log), []);
  assert.throws(() => query('filter @message like /x/ | dedup session', log), /dedup session/);
  assert.throws(() => query('fields no_such_field', log), /no_such_field/);
});
