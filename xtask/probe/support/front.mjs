// A server in front of a load balancer that serves the same URL from another loopback address, and there does one thing
// wrong: what a misconfigured load balancer, a CDN or a broken gateway would do.

import { readFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';

/** Where it listens: not where the load balancer does, and the same port. */
export const ADDRESS = '127.0.0.2';

/** Headers that belong to one connection, which HTTP/2 does not have. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'proxy-connection']);

const kept = (headers) => Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name) && !name.startsWith(':')));

/**
 * Starts it. `origin`: of the load balancer, and `address` where it is when no DNS knows; `authority`, `server`: files
 * with PEM; `httpPort`: for plain HTTP, any free one when there is none.
 *
 * `wrong` has the one thing: `closed` (no TLS port), `tls` (other options of the server), `keepAliveMs`, `redirect(url)`
 * (answer to plain HTTP), `before(exchange)` (answers instead, when it returns an answer), `after(exchange, answer)`
 * (changes status, headers and, for JSON, the body), `stream` (`{ cutMs, silent, lateMs }`, and `version` to do it in one
 * version of HTTP only), `call` (the same, for answers to POST that are event streams; `whole` passes one on at its end).
 */
export async function startFront({ origin, address, authority, server, httpPort = 0, wrong = {} }) {
  const { hostname, port } = new URL(origin);
  const pem = readFileSync(server);
  const agent = new https.Agent({ keepAlive: true, ca: readFileSync(authority) });
  const target = { host: address ?? hostname, port: port || 443, agent };
  const servers = [];
  const listen = (made, at) => new Promise((resolve, reject) => {
    servers.push(made);
    made.once('error', reject).listen(at, ADDRESS, () => resolve(made.address().port));
  });
  if (!wrong.closed) {
    const front = http2.createSecureServer({ key: pem, cert: pem, allowHTTP1: true, ...wrong.tls });
    // As patient as the load balancer behind it, unless that is what is wrong.
    front.keepAliveTimeout = wrong.keepAliveMs ?? 600_000;
    front.on('request', (request, response) => {
      serve(target, wrong, request, response).catch(() => response.stream?.destroy?.() ?? response.destroy());
    });
    await listen(front, Number(port || 443));
  }
  const plain = http.createServer((request, response) => {
    const answer = wrong.redirect ?? ((path) => ({ status: 301, location: `${origin}${path}` }));
    const { status, location } = answer(request.url);
    response.writeHead(status, location ? { location } : {}).end();
  });
  return { httpPort: await listen(plain, httpPort), close: () => closeAll(servers, agent) };
}

async function closeAll(servers, agent) {
  agent.destroy();
  for (const server of servers) {
    server.close();
    server.closeAllConnections?.();
  }
}

async function serve(target, wrong, request, response) {
  const body = [];
  for await (const chunk of request) body.push(chunk);
  const exchange = {
    method: request.method,
    path: request.url,
    version: request.httpVersionMajor,
    headers: kept(request.headers),
    // `connection` says whether a client means to come back on this connection.
    once: request.headers.connection === 'close',
    socket: request.socket,
    text: Buffer.concat(body).toString(),
  };
  const instead = wrong.before?.(exchange);
  if (instead) {
    response.writeHead(instead.status, { 'content-type': 'text/plain', ...instead.headers }).end(instead.text ?? '');
    return;
  }
  const answer = await ask(target, exchange, request.headers.host ?? request.headers[':authority']);
  // Whoever goes away here goes away there.
  response.on('close', () => answer.destroy());
  const how = request.method === 'GET' ? wrong.stream : wrong.call;
  const head = { status: answer.statusCode, headers: kept(answer.headers) };
  if (String(head.headers['content-type']).startsWith('text/event-stream') && !how?.whole) {
    await stream(how, exchange, head, answer, response);
    return;
  }
  const parts = [];
  for await (const chunk of answer) parts.push(chunk);
  const whole = { ...head, text: Buffer.concat(parts).toString() };
  wrong.after?.(exchange, whole);
  delete whole.headers['content-length'];
  response.writeHead(whole.status, whole.headers).end(whole.text);
}

function ask(target, { method, path, headers, text }, host) {
  return new Promise((resolve, reject) => {
    const request = https.request({ ...target, method, path, headers: { ...headers, host } }, resolve);
    request.on('error', reject);
    request.end(text);
  });
}

/** Passes an event stream on, in one of the ways in which things in between fail to. */
async function stream(wrong, exchange, head, answer, response) {
  const how = wrong && (wrong.version ?? exchange.version) === exchange.version ? wrong : {};
  answer.on('error', () => response.end());
  if (how.lateMs) await new Promise((resolve) => setTimeout(resolve, how.lateMs));
  const type = how.type ? { 'content-type': how.type } : {};
  response.writeHead(head.status, { ...head.headers, ...type });
  let first = true;
  answer.on('data', (chunk) => {
    if (first || !how.silent) response.write(chunk);
    first = false;
  });
  answer.on('end', () => response.end());
  if (how.cutMs) setTimeout(() => response.end(), how.cutMs).unref();
}
