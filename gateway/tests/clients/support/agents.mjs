// The real clients under one face, with everything that passes on the wire noted down.

import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { Agent as Connections, buildConnector, fetch as undiciFetch } from 'undici';

import { connect } from './login.mjs';

const info = { name: 'agent', version: '1.0.0' };
const v1 = {
  client: (options) => new Client(info, options),
  call: (client, parameters, options) => client.callTool(parameters, undefined, options),
};
const v2 = (mode) => ({
  client: (options) => new ClientV2(info, { versionNegotiation: { mode }, ...options }),
  Transport: TransportV2,
  call: (client, parameters, options) => client.callTool(parameters, options),
});

/** Client and transport of each kind. */
export const KINDS = {
  'SDK 1.32.2, Streamable HTTP': { ...v1, Transport: StreamableHTTPClientTransport },
  'SDK 1.32.2, HTTP+SSE': { ...v1, Transport: SSEClientTransport },
  'client 2.4.0, legacy era': v2('legacy'),
  'client 2.4.0, modern era': { ...v2('auto'), listens: true },
};

/** How long Node's `fetch` keeps an idle connection. */
const KEEP_MS = 4_000;

/** A `fetch` with connections of its own, as every client program has; with a rig they lead through it. */
function ownFetch(rig, scale) {
  const connections = new Connections({
    keepAliveTimeout: KEEP_MS * scale,
    // A call that says nothing for long is the test's business.
    headersTimeout: 0,
    bodyTimeout: 0,
    ...(rig && { connect: (options, done) => tcp(rig, options, done) }),
  });
  const own = (input, init) => undiciFetch(input, { ...init, dispatcher: connections });
  return Object.assign(own, { close: () => connections.destroy() });
}

const dial = buildConnector({});
const tcp = (rig, options, done) => dial({ ...options, hostname: rig.host, port: String(rig.port) }, done);

/** What one client sent, and each event stream that it was given. */
export class Wire {
  requests = [];
  streams = [];

  constructor(send) {
    this.send = send;
  }

  /** Everything that was answered with one of these. */
  answered(...statuses) {
    return this.requests.filter(({ status }) => statuses.includes(status));
  }

  /** Streams that wait for what may come: a GET, or a listen. */
  get waiting() {
    return this.streams.filter(({ method, rpc }) => method === 'GET' || rpc === 'subscriptions/listen');
  }

  /** How many streams wait now. */
  get open() {
    return this.waiting.filter(({ ended }) => !ended).length;
  }

  /** Whether a client of HTTP+SSE has a stream, and knows where to POST. */
  get connected() {
    return this.waiting.some(({ ended, endpoint }) => !ended && endpoint);
  }

  fetch = async (input, init) => {
    const method = init?.method ?? 'GET';
    const request = { method, rpc: rpcMethod(init?.body), at: Date.now() };
    this.requests.push(request);
    try {
      const response = await this.send(input, init);
      request.status = response.status;
      if (response.status >= 500) request.said = (await response.clone().text()).slice(0, 200);
      if (!response.headers.get('content-type')?.startsWith('text/event-stream')) return response;
      return this.#watch(request, response);
    } catch (error) {
      request.error = String(error.cause ?? error);
      throw error;
    }
  };

  #watch({ method, rpc }, response) {
    const stream = { method, rpc, opened: Date.now(), bytes: 0, retries: [] };
    this.streams.push(stream);
    const over = (how) => {
      stream.ended ??= Date.now();
      stream.how ??= how;
    };
    const reader = response.body.getReader();
    const body = new ReadableStream({
      async pull(controller) {
        try {
          const { value, done } = await reader.read();
          if (done) {
            over('end');
            return controller.close();
          }
          stream.bytes += value.length;
          // The gateway writes such a line at once, and it is too short to be cut in two.
          for (const [, ms] of Buffer.from(value).toString().matchAll(/^retry: (\d+)$/gm)) {
            stream.retries.push({ ms: Number(ms), at: Date.now() });
          }
          stream.endpoint ||= Buffer.from(value).includes('event: endpoint');
          controller.enqueue(value);
        } catch (error) {
          over('error');
          controller.error(error);
        }
      },
      cancel(reason) {
        over('client');
        return reader.cancel(reason);
      },
    });
    const { status, statusText, headers } = response;
    return new Response(body, { status, statusText, headers });
  }
}

function rpcMethod(body) {
  return typeof body === 'string' && body.startsWith('{') ? JSON.parse(body).method : undefined;
}

/** A client that is logged in and connected, and waits for what may come. */
class Agent {
  errors = [];
  /** How each of its listens ended. */
  listens = [];

  constructor(kind, wire, { client, transport }, login) {
    Object.assign(this, { kind, wire, client, transport, login });
    client.onerror = (error) => this.errors.push(String(error));
  }

  get session() { return this.transport.sessionId; }

  async listen() {
    const { closed } = await this.client.listen({ toolsListChanged: true });
    closed.then((how) => {
      this.listens.push(how);
      if (this.relistens && !this.closed) this.#listenAgain();
    });
  }

  /** What a host does whose listen ended: the SDK leaves it to the host. */
  async #listenAgain() {
    for (let wait = 500; !this.closed; wait = Math.min(2 * wait, 30_000)) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      try {
        return await this.listen();
      } catch (error) {
        this.errors.push(String(error));
      }
    }
  }

  /** The result of a tool; an error of the tool is thrown. */
  async run(name, args = {}, options = undefined) {
    const result = await KINDS[this.kind].call(this.client, { name, arguments: args }, options);
    if (result.isError) throw new Error(`${name}: ${JSON.stringify(result.content)}`);
    return result;
  }

  /** The structured content of a tool's result. */
  async call(name, args = {}, options = undefined) {
    return (await this.run(name, args, options)).structuredContent;
  }

  async names() {
    return (await this.client.listTools()).tools.map(({ name }) => name);
  }

  async close() {
    this.closed = true;
    await this.client.close();
    await this.wire.send.close();
  }
}

/**
 * Connects a client of `kind` to `url`, by `login`, and opens the stream that its era waits on.
 * `rig`: its connections lead through that. `relistens`: a listen that ends is opened again. `scale`: the pace of the
 * network around it. `client`: options of the SDK's client.
 */
export async function openAgent(kind, url, login, { rig, relistens = false, scale = 1, client: options = {} } = {}) {
  const { client, Transport, listens } = KINDS[kind];
  const send = ownFetch(rig, scale);
  let wire;
  const makeTransport = (authProvider) => {
    wire = new Wire(send);
    return new Transport(new URL(url), { authProvider, fetch: wire.fetch });
  };
  const connected = await connect(() => client(options), makeTransport, login);
  const agent = new Agent(kind, wire, connected, login);
  agent.relistens = relistens;
  if (listens) await agent.listen();
  return agent;
}
