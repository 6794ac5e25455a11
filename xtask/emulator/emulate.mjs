// Runs npm `emulate`'s Google service on a loopback port of its own, and sends requests to it.

import http from 'node:http';
import net from 'node:net';
import { createEmulator } from 'emulate';

let turn = Promise.resolve();

/** Starts the service. `baseUrl`: what it says of itself in its documents; `seed`: its seed data. */
export function startEmulate(options) {
  const started = turn.then(() => start(options));
  turn = started.catch(() => undefined);
  return started;
}

/**
 * `createEmulator` listens on every interface and does not tell the port it got, so `listen` is replaced
 * while it starts: loopback, any free port. (One start at a time, hence the queue above.)
 */
async function start({ baseUrl, seed }) {
  const { listen } = net.Server.prototype;
  let server;
  net.Server.prototype.listen = function listenOnLoopback() {
    server = this;
    return listen.call(this, 0, '127.0.0.1');
  };
  try {
    await createEmulator({ service: 'google', port: 0, baseUrl, seed });
  } finally {
    net.Server.prototype.listen = listen;
  }
  if (!server.listening) await new Promise((resolve) => server.once('listening', resolve));
  server.keepAliveTimeout = 0; // the agent below decides how long a connection lives
  const agent = new http.Agent({ keepAlive: true });
  const { port } = server.address();
  let anonymous = 0;
  return {
    port,
    /** One request to the service. Without a bearer it gets one of its own: emulate counts 5000 an hour for each. */
    request(method, path, { bearer = `anonymous-${(anonymous += 1)}`, contentType, body } = {}) {
      const headers = { authorization: `Bearer ${bearer}` };
      if (contentType) headers['content-type'] = contentType;
      if (body) headers['content-length'] = Buffer.byteLength(body);
      return exchange({ agent, host: '127.0.0.1', port, method, path, headers }, body);
    },
    close() {
      agent.destroy();
      server.close();
      server.closeAllConnections();
    },
  };
}

function exchange(options, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(options, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const content = Buffer.concat(chunks);
        resolve({ status: response.statusCode, headers: response.headers, body: content, json: () => JSON.parse(content) });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}
