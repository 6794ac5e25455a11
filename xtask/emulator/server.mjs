#!/usr/bin/env node
// The Google emulator as a program: options in, one line of JSON out when it is ready (see README.md).

import { parseArgs } from 'node:util';
import { startEmulator } from './proxy.mjs';

const OPTIONS = {
  host: { type: 'string', default: '127.0.0.1' },
  port: { type: 'string', default: '0' },
  name: { type: 'string' },
  'redirect-uri': { type: 'string', multiple: true, default: ['http://127.0.0.1:3000/auth/callback'] },
  'client-id': { type: 'string', default: '123456789012-emulator.apps.example.com' },
  'client-secret': { type: 'string', default: 'emulator-secret' },
  'test-users': { type: 'string', default: '0' },
  now: { type: 'string' },
  'exit-with-parent': { type: 'boolean', default: false },
};

function usage(message) {
  process.stderr.write(`${message}\n`);
  process.exit(64);
}

function read() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    return usage(error.message);
  }
}

const values = read();
const number = (name, max) => {
  const value = Number(values[name]);
  return Number.isInteger(value) && value >= 0 && value <= max ? value : usage(`--${name} is a number from 0 to ${max}, not \`${values[name]}\``);
};
const now = values.now === undefined ? Date.now() : Date.parse(values.now);
if (Number.isNaN(now)) usage(`--now is a time like 2026-01-31T12:00:00Z, not \`${values.now}\``);

for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
if (values['exit-with-parent']) process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0)).resume();

const client = { id: values['client-id'], secret: values['client-secret'], redirectUris: values['redirect-uri'] };
try {
  const emulator = await startEmulator({ host: values.host, port: number('port', 65_535), name: values.name, client, testUsers: number('test-users', 100_000), now });
  const ready = { ready: true, url: emulator.url, clientId: client.id, clientSecret: client.secret, users: emulator.users };
  process.stdout.write(`${JSON.stringify(ready)}\n`);
} catch (error) {
  process.stderr.write(`the emulator did not start: ${error.message}\n`);
  process.exit(1);
}
