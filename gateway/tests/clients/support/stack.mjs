// The whole product on loopback: Google emulator and gateway, as `cargo xtask dev` runs them.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { freePort, start, stop, until } from './processes.mjs';

const here = import.meta.dirname ?? new URL('.', import.meta.url).pathname;
const root = resolve(here, '../../../..');
const emulatorDir = process.env.GOOGLE_EMULATOR_DIR ?? join(root, 'xtask/emulator');
const gatewayBin = process.env.GATEWAY_BIN ?? join(root, 'target/debug/gateway');

/** Starts a Google emulator. Any loopback `/auth/callback` may be its client. */
export async function startGoogle(args = []) {
  const child = start('node', [join(emulatorDir, 'server.mjs'), '--port', '0', '--exit-with-parent', ...args]);
  const ready = await until('the Google emulator', async () => {
    const line = child.output.find((text) => text.startsWith('{"ready"'));
    return line && JSON.parse(line);
  }, [child]);
  return { ...ready, child };
}

/** Starts a gateway in front of `google`, with a store in memory on a temporary disk. */
export async function startGateway(google, extraEnv = {}, port = undefined, dataDir = undefined) {
  const chosen = port ?? (await freePort());
  const data = dataDir ?? (await mkdtemp(join(tmpdir(), 'gateway-')));
  const url = `http://127.0.0.1:${chosen}`;
  const child = start(gatewayBin, ['serve'], {
    env: {
      PATH: process.env.PATH,
      HOST: '127.0.0.1',
      PORT: String(chosen),
      PUBLIC_URL: url,
      DATA_DIR: data,
      SESSION_SECRET: 'b2f81d0c97e64a35a1c0d87e6f2b94c3',
      GOOGLE_CLIENT_ID: google.clientId,
      GOOGLE_CLIENT_SECRET: google.clientSecret,
      GOOGLE_ISSUER: google.url,
      GOOGLE_API_BASE_URL: google.url,
      ALLOWED_DOMAIN: 'example.com',
      LOG_LEVEL: 'debug',
      // No load balancer has to notice a stop first.
      DRAIN_GRACE: '0',
      ...extraEnv,
    },
  });
  // It serves before its store is ready. From then on it knows that it does not know this client.
  const probe = async () => (await fetch(`${url}/oauth/authorize?client_id=nobody`)).status === 400;
  await until('the gateway', probe, [child]);
  return {
    url,
    mcp: `${url}/mcp`,
    sse: `${url}/mcp/sse`,
    port: chosen,
    data,
    child,
    async stop({ keepData = false } = {}) {
      const ended = await stop(child);
      if (!keepData) await rm(data, { recursive: true, force: true });
      return ended;
    },
  };
}

/** Emulator and gateway together. */
export async function startStack(extraEnv = {}, googleArgs = []) {
  const google = await startGoogle(googleArgs);
  const gateway = await startGateway(google, extraEnv);
  return {
    google,
    gateway,
    async stop() {
      const ended = await gateway.stop();
      await stop(google.child);
      return ended;
    },
  };
}
