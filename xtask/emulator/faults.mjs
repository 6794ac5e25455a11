// Faults on demand: which requests fail, and how.

import { setTimeout as sleep } from 'node:timers/promises';
import { GoogleError, NAMED, errorResponse, jsonResponse } from './errors.mjs';

const TRANSPORT = ['delay', 'reset', 'blackhole', 'truncate', 'drip'];
/** What an error body says when the path belongs to no API of Google's. */
const NO_METHOD = { api: 'oauth', service: 'oauth2.googleapis.com', id: 'google.unknown', scopes: [] };

/** The faults in force, oldest first. */
export class Faults {
  #rules = new Map();
  #lastId = 0;

  /** Adds `{match, fault, times}` and returns its id; throws an Error that says what is wrong with it. */
  add({ match = {}, fault, times = Infinity }) {
    const kinds = ['status', ...TRANSPORT, ...Object.keys(NAMED)];
    if (!kinds.includes(fault?.kind)) throw new Error(`fault.kind is one of ${kinds.join(', ')}`);
    if (fault.kind === 'status' && !(fault.status >= 200 && fault.status <= 599)) throw new Error('fault.status is a number from 200 to 599');
    if (fault.kind === 'delay' && !(fault.ms >= 0)) throw new Error('fault.ms is a number of milliseconds');
    if (!(times > 0)) throw new Error('times is a positive number');
    const unknown = Object.keys(match).find((key) => !['email', 'pathPrefix', 'method'].includes(key));
    if (unknown) throw new Error(`match has no \`${unknown}\``);
    const id = String((this.#lastId += 1));
    this.#rules.set(id, { match, fault, times });
    return id;
  }

  /** Takes a fault back; without an id, all of them. */
  remove(id) {
    if (id !== undefined) return this.#rules.delete(id);
    this.#rules.clear();
    return true;
  }

  list() {
    return [...this.#rules].map(([id, { match, fault, times }]) => ({ id, match, fault, times: times === Infinity ? null : times }));
  }

  /** The first fault that is for this request, and one use less of it. */
  take({ email, path, method }) {
    for (const [id, rule] of this.#rules) {
      const { match } = rule;
      if (match.email && match.email !== email) continue;
      if (match.pathPrefix && !path.startsWith(match.pathPrefix)) continue;
      if (match.method && match.method.toUpperCase() !== method) continue;
      rule.times -= 1;
      if (rule.times < 1) this.#rules.delete(id);
      return rule.fault;
    }
    return undefined;
  }
}

/** The answer that a fault puts in place of the real one, or undefined when it only touches the transport. */
export function faultResponse(fault, method, path) {
  if (TRANSPORT.includes(fault.kind)) return undefined;
  const headers = fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) };
  if (fault.kind === 'too_many_requests') headers['retry-after'] ??= '1';
  if (fault.body !== undefined) return given(fault, headers);
  if (path.startsWith('/oauth2/')) return oauthFault(fault, headers);
  const { api } = method ?? NO_METHOD;
  const error = fault.kind === 'status' ? plain(fault) : NAMED[fault.kind](method ?? NO_METHOD);
  const response = errorResponse(error, api);
  Object.assign(response.headers, headers);
  return response;
}

function given({ status = 500, body }, headers) {
  if (typeof body !== 'string') return jsonResponse(status, body, headers);
  return { status, headers: { 'content-type': 'text/html; charset=UTF-8', ...headers }, body: Buffer.from(body) };
}

const plain = ({ status, reason = 'backendError' }) => new GoogleError(status, `Injected status ${status}.`, { reason, status: 'UNKNOWN' });

function oauthFault({ kind, status, reason }, headers) {
  const code = kind === 'status' ? status : NAMED[kind](NO_METHOD).code;
  const fallback = code >= 500 ? 'internal_failure' : code === 429 ? 'rate_limit_exceeded' : 'invalid_request';
  return jsonResponse(code, { error: reason ?? fallback, error_description: `Injected ${kind}.` }, headers);
}

/** Sends the answer, or what the fault leaves of it. True when the whole of it was sent. */
export async function send(response, answer, fault) {
  if (fault?.kind === 'reset') {
    response.socket?.resetAndDestroy();
    return false;
  }
  if (fault?.kind === 'delay') await sleep(fault.ms);
  if (response.destroyed) return false;
  response.writeHead(answer.status, { ...answer.headers, 'content-length': answer.body.length });
  if (fault?.kind === 'truncate') {
    response.write(answer.body.subarray(0, Math.floor(answer.body.length / 2)), () => response.socket?.destroy());
    return false;
  }
  if (fault?.kind === 'drip') return drip(response, answer.body, fault);
  response.end(answer.body);
  return true;
}

/** The body in small pieces: `bytes` (default 16) every `ms` (default 50). */
async function drip(response, body, { bytes = 16, ms = 50 }) {
  for (let at = 0; at < body.length; at += bytes) {
    if (response.destroyed) return false;
    response.write(body.subarray(at, at + bytes));
    await sleep(ms);
  }
  response.end();
  return true;
}
