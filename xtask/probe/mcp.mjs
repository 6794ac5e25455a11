// What needs a token: both eras of MCP, over connections without cookies.

import { message } from './connection.mjs';

const LEGACY = '2025-11-25';
const MODERN = '2026-07-28';
const CLIENT = { name: 'verify', version: '1' };
const JSON_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/** Runs `once` on `count` connections at the same time, and gathers the different answers. */
async function many(count, once) {
  const settled = await Promise.allSettled(Array.from({ length: count }, once));
  const broken = settled.filter(({ status }) => status === 'rejected').map(({ reason }) => reason);
  // When no connection comes about, nothing was learnt of what is behind it.
  if (broken.length === count && broken.every(({ code }) => code)) throw broken[0];
  const failures = broken.map(({ message: said }) => said);
  const answers = settled.filter(({ status }) => status === 'fulfilled').map(({ value }) => JSON.stringify(value));
  const different = [...new Set(answers)].map((answer) => JSON.parse(answer));
  return { asked: count, failures, different: different.length, names: different[0] ?? [] };
}

function expect200(reply) {
  if (reply.status !== 200) throw new Error(`status ${reply.status}: ${reply.text.slice(0, 200)}`);
  const { result, error } = message(reply);
  if (!result) throw new Error(`no result: ${JSON.stringify(error)}`);
  return result;
}

/** A request of the modern era: it stands alone. */
async function modern(place, path, method) {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': MODERN,
    'io.modelcontextprotocol/clientInfo': CLIENT,
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { _meta: meta } });
  const headers = { ...JSON_HEADERS, 'mcp-protocol-version': MODERN, 'mcp-method': method };
  return expect200(await place.request(path, { method: 'POST', headers, body, authorized: true }));
}

/** The names of the tools as the modern era lists them. */
export function modernTools(place, path, count) {
  return many(count, async () => (await modern(place, path, 'tools/list')).tools.map(({ name }) => name));
}

/** What `server/discover` says. */
export async function discover(place, path) {
  const { supportedVersions } = await modern(place, path, 'server/discover');
  return { versions: supportedVersions };
}

/** A session of the legacy era. */
export class Session {
  #headers;

  /** Begins one. */
  static async begin(place, path) {
    const session = new Session();
    Object.assign(session, { place, path });
    const params = { protocolVersion: LEGACY, capabilities: {}, clientInfo: CLIENT };
    const reply = await session.#post({ jsonrpc: '2.0', id: 1, method: 'initialize', params }, JSON_HEADERS);
    expect200(reply);
    session.id = reply.headers['mcp-session-id'];
    session.#headers = { ...JSON_HEADERS, 'mcp-protocol-version': LEGACY, ...(session.id ? { 'mcp-session-id': session.id } : {}) };
    await session.#post({ jsonrpc: '2.0', method: 'notifications/initialized' }, session.#headers);
    return session;
  }

  /** The headers of its requests. */
  get headers() { return this.#headers; }

  /** The names of its tools, each time on a connection of its own. */
  tools(count) {
    return many(count, async () => {
      const reply = await this.#post({ jsonrpc: '2.0', id: 2, method: 'tools/list', params: {} }, this.#headers);
      return expect200(reply).tools.map(({ name }) => name);
    });
  }

  /** The status with which a request with another session id is answered. */
  async statusWith(id) {
    const headers = { ...this.#headers, 'mcp-session-id': id };
    return (await this.#post({ jsonrpc: '2.0', id: 3, method: 'ping' }, headers)).status;
  }

  /** Ends it. */
  async end() {
    await this.place.request(this.path, { method: 'DELETE', headers: this.#headers, authorized: true });
  }

  #post(body, headers) {
    return this.place.request(this.path, { method: 'POST', headers, body: JSON.stringify(body), authorized: true });
  }
}
