// Looks at a gateway from outside, as clients do, and prints what it saw as one JSON object.
//
// Takes one JSON object as its argument (fields below) and the token in `VERIFY_TOKEN`. Judges nothing: a fact is
// `{ value }`, or `{ error }` when it could not be learnt, with a `code` when the reason is the connection. Needs nothing but Node.

import { resolve4, resolve6 } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';

import { Place, late } from './connection.mjs';
import { Session, discover, modernTools } from './mcp.mjs';
import { call, reuse, stream, stream2 } from './patience.mjs';

const wanted = JSON.parse(process.argv[2] ?? '{}');
const {
  path = '/mcp', health = '/health', httpPort = 80, balancer, connections = 20, streamSeconds = 0, callSeconds = 0,
  idleSeconds = [],
} = wanted;
/** How long a resolver keeps an address of a load balancer, and a little more. */
const FORGOTTEN_MS = 65_000;
const token = process.env.VERIFY_TOKEN;
const ca = wanted.ca ? readFileSync(wanted.ca, 'utf8') : undefined;
const place = new Place({ url: wanted.url, address: wanted.address, ca, token });

/** Every address of `host`. */
async function addresses(host) {
  const found = await Promise.all([resolve4, resolve6].map((lookup) => lookup(host).catch(() => [])));
  if (found.flat().length === 0) throw new Error(`\`${host}\` has no address`);
  return found.flat().sort();
}

/**
 * Where the host is, and where the load balancer. Of each the DNS may still say what it was a minute ago, so where they
 * differ in part, they are asked again.
 */
async function bothAddresses() {
  for (const until = Date.now() + FORGOTTEN_MS; ; await sleep(5_000)) {
    const [host, ofBalancer] = await Promise.all([place.host, balancer].map(addresses));
    const strangers = host.filter((address) => !ofBalancer.includes(address));
    if (strangers.length === 0 || strangers.length === host.length || Date.now() > until) return { host, balancer: ofBalancer };
  }
}

/** The handshake: what the server shows, and whether a client would trust it. */
function handshake(more = {}) {
  return new Promise((resolve, reject) => {
    const socket = tls.connect(place.tls({ rejectUnauthorized: false, ...more }), () => {
      const { serialNumber = '', subjectaltname = '', valid_to: ends = '' } = socket.getPeerCertificate();
      const trusted = socket.authorized ? 'trusted' : String(socket.authorizationError);
      resolve({ trusted, serial: serialNumber.toLowerCase(), names: subjectaltname, ends, protocol: socket.getProtocol() });
      socket.destroy();
    });
    socket.setTimeout(10_000, () => socket.destroy(late('no connection within 10 s')));
    socket.on('error', reject);
  });
}

/** Whether the server speaks a version of TLS that nobody should. */
async function oldTls() {
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' };
  return handshake(old).then(({ protocol }) => `accepts ${protocol}`, () => 'refused');
}

const POST = {
  method: 'POST',
  headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
};

const open = {
  address: async () => (place.address || !balancer ? undefined : bothAddresses()),
  tls: async () => ({ ...(await handshake()), old: await oldTls() }),
  redirect: async () => {
    const { status, headers } = await place.plain(`${path}?probe=1`, httpPort);
    return { status, location: headers.location ?? '' };
  },
  headers: async () => {
    const { status, headers } = await place.request(health);
    return { status, headers };
  },
  commits: async () => {
    const replies = await Promise.all(Array.from({ length: connections }, () => place.request('/status')));
    const seen = replies.map(({ status, text }) => (status === 200 ? JSON.parse(text).gitSha : `status ${status}`));
    return { asked: connections, seen: [...new Set(seen)].sort() };
  },
  challenge: async () => {
    const { status, headers } = await place.request(path, POST);
    const cookies = (headers['set-cookie'] ?? []).map((cookie) => cookie.split('=')[0]);
    return { status, challenge: headers['www-authenticate'] ?? '', cookies };
  },
  metadata: async () => {
    const resource = await place.request(`/.well-known/oauth-protected-resource${path}`);
    const server = await place.request('/.well-known/oauth-authorization-server');
    const read = ({ status, text }) => (status === 200 ? { status, ...JSON.parse(text) } : { status });
    return { resource: read(resource), server: read(server) };
  },
  origin: async () => {
    const { status } = await place.request(path, { ...POST, headers: { ...POST.headers, origin: 'https://hostile.example.net' } });
    return { status };
  },
  preflight: async () => {
    const headers = { origin: place.url.origin, 'access-control-request-method': 'POST' };
    const { status, headers: answer } = await place.request(path, { method: 'OPTIONS', headers });
    return { status, allowed: answer['access-control-allow-origin'] ?? '', exposed: answer['access-control-expose-headers'] ?? '' };
  },
};

/** What only somebody with a token sees. The session is shared: streams of it run while it lists tools. */
async function authorized() {
  const session = Session.begin(place, path);
  session.catch(() => {});
  const facts = await settle({
    'modern tools': () => modernTools(place, path, connections),
    discover: () => discover(place, path),
    'legacy tools': async () => (await session).tools(connections),
    'session ids': async () => ({
      malformed: await (await session).statusWith('not-a-session'),
      foreign: await (await session).statusWith('00000000-0000-4000-8000-000000000000'),
    }),
    ...(streamSeconds > 0 ? {
      stream: async () => stream(place, await session, streamSeconds),
      'stream 2': async () => stream2(place, await Session.begin(place, path), streamSeconds),
    } : {}),
    ...(callSeconds > 0 ? { call: async () => call(place, await session, callSeconds) } : {}),
  });
  await session.then((begun) => begun.end()).catch(() => {});
  return facts;
}

/** Runs all probes at the same time; an error stays with its probe. */
async function settle(probes) {
  const run = async ([name, probe]) => {
    try {
      return [name, { value: await probe() }];
    } catch (error) {
      return [name, error.code ? { error: `${error.code}: ${error.message}`, code: error.code } : { error: error.message }];
    }
  };
  return Object.fromEntries(await Promise.all(Object.entries(probes).map(run)));
}

const pauses = idleSeconds.length === 0 ? {} : {
  idle: async () => Promise.all(idleSeconds.map((seconds) => reuse(place, health, seconds))),
};
const [facts, more] = await Promise.all([settle({ ...open, ...pauses }), token ? authorized() : {}]);
process.stdout.write(`${JSON.stringify({ ...facts, ...more })}\n`);
process.exit(0);
