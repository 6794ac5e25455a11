// Connections to the place that is probed: always fresh, never with cookies, at the address that was asked for.

import http from 'node:http';
import https from 'node:https';
import { isIP } from 'node:net';
import tls from 'node:tls';

const TIMEOUT_MS = 15_000;

/** Where and as whom to probe. */
export class Place {
  /** `address` overrides what DNS says about the host, `ca` is a further authority (PEM), `token` a bearer token. */
  constructor({ url, address, ca, token }) {
    this.url = new URL(url);
    this.address = address;
    this.ca = ca ? [...tls.rootCertificates, ca] : undefined;
    this.token = token;
  }

  get host() { return this.url.hostname; }

  get port() { return Number(this.url.port || (this.url.protocol === 'https:' ? 443 : 80)); }

  /** Options of a TLS connection. */
  tls(more = {}) {
    return {
      host: this.address ?? this.host,
      port: this.port,
      // An address is no server name (RFC 6066), and the certificate is for the host wherever the connection leads.
      servername: isIP(this.host) ? '' : this.host,
      checkServerIdentity: (_, certificate) => tls.checkServerIdentity(this.host, certificate),
      ca: this.ca,
      ...more,
    };
  }

  /** One request on a connection of its own. In plain text only where the URL says so, which is on loopback. */
  async request(path, { method = 'GET', headers = {}, body, authorized = false } = {}) {
    const module = this.url.protocol === 'http:' ? http : https;
    return ask(module, {
      ...this.tls(),
      agent: new module.Agent({ keepAlive: false }),
      path,
      method,
      headers: { host: this.url.host, ...(authorized ? { authorization: `Bearer ${this.token}` } : {}), ...headers },
    }, body);
  }

  /** One request in plain text. */
  async plain(path, port) {
    const headers = { host: port === 80 ? this.host : `${this.host}:${port}` };
    return ask(http, { host: this.address ?? this.host, port, path, headers, agent: new http.Agent({ keepAlive: false }) });
  }
}

/** An error of the connection. */
export function late(message) {
  return Object.assign(new Error(message), { code: 'ETIMEDOUT' });
}

/** Resolves to status, headers and text, and never waits for long. */
function ask(module, options, body) {
  return new Promise((resolve, reject) => {
    const request = module.request(options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => { text += chunk; });
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
      response.on('error', reject);
    });
    request.setTimeout(TIMEOUT_MS, () => request.destroy(late(`no answer within ${TIMEOUT_MS / 1000} s`)));
    request.on('error', reject);
    request.end(body);
  });
}

/** The one JSON-RPC answer in `text`, be it JSON or an event stream. */
export function message({ headers, text }) {
  if (!String(headers['content-type'] ?? '').startsWith('text/event-stream')) return JSON.parse(text);
  const data = text.split('\n').filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trim());
  return data.filter(Boolean).map((line) => JSON.parse(line)).find(({ id }) => id !== undefined);
}
