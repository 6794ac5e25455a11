// The server in front of emulate: journal, faults and authentication for every request, then its route.

import http from 'node:http';
import { API, checkQuery, checkScopes, findMethod } from './api.mjs';
import { calendarApi } from './calendar.mjs';
import { control } from './control.mjs';
import { docsApi } from './docs.mjs';
import { driveApi } from './drive.mjs';
import { startEmulate } from './emulate.mjs';
import { GoogleError, errorResponse, jsonResponse, unauthenticated } from './errors.mjs';
import { Faults, faultResponse, send } from './faults.mjs';
import { gmailApi } from './gmail.mjs';
import { Journal } from './journal.mjs';
import { applyMask, checkMask, parseMask } from './mask.mjs';
import { OAuth, bearerOf } from './oauth.mjs';
import { seed } from './seed.mjs';
import { sheetsApi } from './sheets.mjs';
import { IdTokenSigner, Tokens, fingerprint } from './tokens.mjs';

const BODY_LIMIT = 1 << 20;

/**
 * Starts the emulator and resolves once it answers.
 * Options: host (an address to listen at), port (0: any), name (what people and gateways call the host), client {id, secret,
 * redirectUris}, testUsers (how many more), now (ms since the epoch).
 */
export async function startEmulator({ host = '127.0.0.1', port = 0, name = host, client, testUsers = 0, now = Date.now() }) {
  const server = http.createServer();
  server.keepAliveTimeout = 240_000; // as patient with idle connections as Google
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  const url = `http://${name}:${server.address().port}`;
  const world = seed({ now, testUsers });
  const inner = await startEmulate({ baseUrl: url, seed: world.emulate });
  const state = { inner, people: world.people, journal: new Journal(), faults: new Faults(), tokens: new Tokens(), startedAt: new Date().toISOString() };
  state.oauth = new OAuth({ ...state, signer: new IdTokenSigner(), client, issuer: url });
  state.handlers = { ...gmailApi(inner, world), ...calendarApi(inner, world), ...driveApi(world), ...docsApi(world), ...sheetsApi(world) };
  server.on('request', (request, response) => {
    serve(state, request, response).catch((error) => {
      process.stderr.write(`${error.stack}\n`);
      response.destroy();
    });
  });
  return {
    url,
    innerPort: inner.port,
    users: world.users,
    close() {
      server.close();
      server.closeAllConnections();
      inner.close();
    },
  };
}

async function serve(state, request, response) {
  const started = performance.now();
  const body = await readBody(request);
  const url = new URL(`http://emulator${request.url.startsWith('/') ? '' : '/'}${request.url}`);
  if (url.pathname === '/_emulator' || url.pathname.startsWith('/_emulator/')) {
    await send(response, control(state, request.method, url, body));
    return;
  }
  const bearer = bearerOf(request.headers);
  const held = bearer && state.tokens.access(bearer);
  const email = (bearer && state.tokens.ownerOf(bearer)) ?? state.oauth.owner(url, body, request.headers);
  const entry = state.journal.open({
    method: request.method,
    path: url.pathname,
    query: loggable(url),
    email: state.people.has(email) ? email : null,
    ...(bearer && { token: fingerprint(bearer) }),
  });
  const fault = state.faults.take({ email, path: url.pathname, method: request.method });
  if (fault) entry.faulted = fault.kind;
  if (fault?.kind === 'blackhole') return; // the connection stays open and silent, as if packets were lost
  const call = { request, url, body, bearer, held };
  const answer = await answerTo(state, call, fault);
  const complete = await send(response, answer, fault);
  if (complete) entry.status = answer.status;
  entry.ms = Math.round(performance.now() - started);
}

/** The query without the two parameters that can carry a token. */
function loggable(url) {
  const query = new URLSearchParams(url.search);
  for (const name of ['access_token', 'token']) query.delete(name);
  return query.toString();
}

async function readBody(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size <= BODY_LIMIT) chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function answerTo(state, call, fault) {
  const { request, url, body } = call;
  const found = tryFind(request.method, url.pathname);
  if (fault) {
    const instead = faultResponse(fault, found?.method, url.pathname);
    if (instead) return instead;
  }
  try {
    if (found) return await callApi(state, call, found);
    const page = await state.oauth.route(request.method, url, body, request.headers);
    if (page) return page;
    if (request.method === 'GET' && url.pathname.startsWith('/_emulate/')) return await asset(state.inner, url.pathname);
    return errorResponse(new GoogleError(404, `The emulator does not serve ${request.method} ${url.pathname}.`, { reason: 'notFound' }));
  } catch (error) {
    if (error instanceof GoogleError) return errorResponse(error, found?.method.api);
    process.stderr.write(`${request.method} ${url.pathname}: ${error.stack}\n`);
    return jsonResponse(500, { error: { code: 500, message: `The emulator broke: ${error.message}`, status: 'INTERNAL' } });
  }
}

function tryFind(method, path) {
  try {
    return findMethod(method, path);
  } catch {
    return undefined;
  }
}

/** Font and icon of emulate's pages. */
async function asset(inner, path) {
  const { status, headers, body } = await inner.request('GET', path);
  return { status, headers: { 'content-type': headers['content-type'] ?? 'text/plain' }, body };
}

/** A call of an API: who, may they, is it well formed; then the handler, then the mask over its answer. */
async function callApi(state, { request, url, bearer, held }, { method, params }) {
  if (!held || held.expired) {
    const reason = held ? 'ACCESS_TOKEN_EXPIRED' : bearer ? 'ACCESS_TOKEN_TYPE_UNSUPPORTED' : 'CREDENTIALS_MISSING';
    throw unauthenticated(reason, method.service);
  }
  checkScopes(method, held.scopes);
  const query = url.searchParams;
  checkQuery(method, query);
  const mask = query.has('fields') && method.response ? parseMask(query.get('fields')) : undefined;
  if (mask) checkMask(mask, method.response, API.schemas);
  const answer = await state.handlers[method.id]({ email: held.email, params, query, headers: request.headers });
  if (Buffer.isBuffer(answer.body)) return answer;
  const visible = mask ?? (answer.defaultFields && parseMask(answer.defaultFields)) ?? null;
  return jsonResponse(200, applyMask(answer.json, visible));
}
