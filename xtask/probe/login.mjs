// Logs a person of the Google emulator in, as a client and a browser would, and prints the access token.
//
// Takes one JSON object as its argument: `url` (the gateway's origin), `email`, and optionally `path` and `names` (an
// address for each host that DNS does not know). Trusts what `NODE_EXTRA_CA_CERTS` says besides the usual authorities.

import dns from 'node:dns';
import { createHash, randomBytes } from 'node:crypto';

import { Browser } from '../../gateway/tests/clients/support/browser.mjs';

// Nobody listens there: the browser is scripted, and the redirect is read instead of followed.
const REDIRECT = 'http://127.0.0.1:33418/callback';

const { url, path = '/mcp', email, names = {} } = JSON.parse(process.argv[2] ?? '{}');

/** Answers for hosts that DNS does not know; `fetch` looks this function up at each connection. */
function resolve(known) {
  const { lookup } = dns;
  dns.lookup = (host, options, done) => {
    const address = known[host];
    if (address === undefined) return lookup(host, options, done);
    const family = address.includes(':') ? 6 : 4;
    return options.all ? done(null, [{ address, family }]) : done(null, address, family);
  };
}

async function json(at, init) {
  const response = await fetch(at, init);
  const text = await response.text();
  if (!response.ok) throw new Error(`${at} is answered ${response.status}: ${text.slice(0, 300)}`);
  return JSON.parse(text);
}

const form = (fields) => ({
  method: 'POST',
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body: new URLSearchParams(fields).toString(),
});

async function token() {
  const { resource, authorization_servers: [issuer] } = await json(`${url}/.well-known/oauth-protected-resource${path}`);
  const server = await json(new URL('/.well-known/oauth-authorization-server', issuer));
  const client = await json(server.registration_endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      client_name: 'verify',
      redirect_uris: [REDIRECT],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    }),
  });
  const [verifier, state] = [randomBytes(32), randomBytes(16)].map((bytes) => bytes.toString('base64url'));
  const asked = new URL(server.authorization_endpoint);
  asked.search = new URLSearchParams({
    response_type: 'code',
    client_id: client.client_id,
    redirect_uri: REDIRECT,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    state,
    resource,
  }).toString();
  const { location, status, html } = await new Browser().logIn(asked.href, email);
  const answer = location?.searchParams;
  if (!answer?.get('code') || answer.get('state') !== state) throw new Error(`no code: ${status} ${location} ${html.slice(0, 300)}`);
  const granted = await json(server.token_endpoint, form({
    grant_type: 'authorization_code',
    code: answer.get('code'),
    redirect_uri: REDIRECT,
    client_id: client.client_id,
    code_verifier: verifier,
    resource,
  }));
  return granted.access_token;
}

resolve(names);
process.stdout.write(`${await token()}\n`);
process.exit(0);
