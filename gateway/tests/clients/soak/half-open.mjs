// A client that vanishes without a packet: `unshare --user --map-root-user --net node half-open.mjs`.
//
// In a network of its own, one address stops existing while a stream to it is open, so that not even the kernel of the
// client acknowledges anything any more. Prints one JSON object: how long each stream lived after that.

import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

import { openAgent } from '../support/agents.mjs';
import { Login } from '../support/login.mjs';
import { Connection, streaming } from '../support/raw.mjs';
import { startStack } from '../support/stack.mjs';

const VANISHING = '10.99.0.2';
const LIMIT_MS = 90_000;

const ip = (...args) => execFileSync('ip', args);
ip('link', 'set', 'lo', 'up');
ip('addr', 'add', `${VANISHING}/32`, 'dev', 'lo');

const stack = await startStack();
const agent = await openAgent('SDK 1.32.2, Streamable HTTP', stack.gateway.mcp, new Login('ana@example.com'));
const open = async (localAddress) => {
  const connection = new Connection({ port: stack.gateway.port, localAddress });
  await connection.request('GET', '/mcp', streaming(agent.login.tokens().access_token, agent.session), '', { stream: true });
  return connection;
};
const lives = await open('127.0.0.1');
await open(VANISHING);
const connections = async () => (await (await fetch(`${stack.gateway.url}/health`)).json()).activeConnections;
await sleep(5_000);
const before = await connections();

ip('addr', 'del', `${VANISHING}/32`, 'dev', 'lo');
ip('route', 'add', 'blackhole', `${VANISHING}/32`);
const began = Date.now();
const ended = () => stack.gateway.child.output.filter((line) => line.includes('stream disconnected')).map((line) => JSON.parse(line));
while (ended().length === 0 && Date.now() - began < LIMIT_MS) await sleep(100);
const ms = Date.now() - began;
await sleep(500);
console.log(JSON.stringify({
  removed: ended().length, ms, reason: ended()[0]?.reason, before, after: await connections(),
  others: [lives.closed, agent.wire.open],
}));
lives.close();
await agent.close();
await stack.stop();
process.exit(0);
