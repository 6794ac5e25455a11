// HTTP/1.1 on a bare socket: for connections by the thousand, and for what HTTP libraries hide.

import { connect } from 'node:net';

import { Responses } from './rigs/responses.mjs';

/** One connection that is used again and again; `closed` says how it ended. */
export class Connection {
  #responses = new Responses();
  #waiting;
  #parts = [];
  bytes = 0;

  constructor({ port, host = '127.0.0.1', localAddress }) {
    this.host = `${host}:${port}`;
    this.socket = connect({ port, host, localAddress });
    this.socket.setNoDelay(true);
    this.socket.on('data', (chunk) => this.#read(chunk));
    this.socket.on('error', (error) => this.#over(error.code));
    this.socket.on('close', () => this.#over('closed'));
  }

  #over(how) {
    this.closed ??= how;
    this.#waiting?.reject(new Error(`the connection ended: ${this.closed}`));
    this.#waiting = undefined;
    this.onclose?.(this.closed);
    this.onclose = undefined;
  }

  #read(chunk) {
    this.bytes += chunk.length;
    for (const { data, head, end } of this.#responses.read(chunk)) {
      if (head) {
        this.head = head;
        this.#parts = [];
        if (this.#waiting?.stream) {
          this.#waiting.resolve(head);
          this.#waiting = undefined;
        }
      } else if (this.ondata) {
        this.ondata(data);
      } else {
        this.#parts.push(data);
      }
      if (!end || !this.#waiting) continue;
      this.#waiting.resolve({ ...this.head, body: Buffer.concat(this.#parts).toString() });
      this.#waiting = undefined;
    }
  }

  /** Sends a request; resolves with status, headers and body, or with `stream` as soon as the head is there. */
  request(method, path, headers = {}, body = '', { stream = false } = {}) {
    const lines = Object.entries({
      host: this.host, ...(body && { 'content-length': Buffer.byteLength(body) }), ...headers,
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    this.#responses.request(Buffer.from(`${method} `));
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(new Error(`the connection ended: ${this.closed}`));
      this.#waiting = { resolve, reject, stream };
      this.socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
    });
  }

  close() { this.socket.destroy(); }
}

/** Headers of a POST to `/mcp`. */
export const posting = (token, session) => ({
  authorization: `Bearer ${token}`,
  accept: 'application/json, text/event-stream',
  'content-type': 'application/json',
  ...(session && { 'mcp-session-id': session }),
});

/** Headers of a GET that opens a stream. */
export const streaming = (token, session) => ({
  authorization: `Bearer ${token}`, accept: 'text/event-stream', 'mcp-session-id': session,
});

/** A message, as text. */
export const message = (method, params = {}, id = 1) => JSON.stringify({ jsonrpc: '2.0', id, method, params });

/** Starts a session on a connection; resolves with its id. */
export async function startSession(connection, token) {
  const { status, headers, body } = await connection.request('POST', '/mcp', posting(token), message('initialize', {
    protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1.0.0' },
  }));
  if (status !== 200) throw new Error(`initialize: ${status} ${body}`);
  return headers['mcp-session-id'];
}
