// What the tests share: an emulator, a script that logs people in as a browser would, and typed-out requests.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after } from 'node:test';
import { API } from './api.mjs';
import { startEmulator } from './proxy.mjs';

export const CLIENT = { id: 'client-1', secret: 'secret-1', redirectUris: ['https://app.example.com/cb'] };
export const REDIRECT = 'http://127.0.0.1:41234/auth/callback';
export const NOW = Date.parse('2026-03-25T12:34:56Z'); // the days around a change of clocks in Europe
export const SCOPES = ['openid', 'email', 'profile', ...['gmail', 'calendar', 'drive', 'documents', 'spreadsheets'].map((api) => `https://www.googleapis.com/auth/${api}.readonly`)];

/** Starts an emulator that is closed when the test file is over. */
export async function emulator(options = {}) {
  const running = await startEmulator({ client: CLIENT, now: NOW, ...options });
  after(() => running.close());
  return { ...running, ...requests(running.url) };
}

function requests(url) {
  const post = (path, fields, headers = {}) => fetch(url + path, { method: 'POST', body: new URLSearchParams(fields), headers, redirect: 'manual' });

  /** The form of the chooser for this person: what a browser would post. */
  async function chooser(email, options = {}) {
    const verifier = randomBytes(32).toString('base64url');
    const query = new URLSearchParams({
      client_id: CLIENT.id,
      redirect_uri: REDIRECT,
      response_type: 'code',
      scope: SCOPES.join(' '),
      state: 'state-1',
      nonce: 'nonce-1',
      access_type: 'offline',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      ...options,
    });
    const response = await fetch(`${url}/o/oauth2/v2/auth?${query}`, { redirect: 'manual' });
    const html = await response.text();
    const forms = [...html.matchAll(/<form[\s\S]*?<\/form>/g)].map(([form]) =>
      Object.fromEntries([...form.matchAll(/name="([^"]*)" value="([^"]*)"/g)].map(([, name, value]) => [name, value.replace(/&#(\d+);/g, (_, c) => String.fromCharCode(c)).replaceAll('&lt;', '<').replaceAll('&quot;', '"').replaceAll('&amp;', '&')])));
    return { response, html, forms, form: forms.find((form) => form.email === email), verifier };
  }

  async function decide(form) {
    const response = await post('/o/oauth2/v2/auth/callback', form);
    return { response, location: response.headers.has('location') ? new URL(response.headers.get('location')) : undefined };
  }

  const token = (fields) => post('/oauth2/token', { client_id: CLIENT.id, client_secret: CLIENT.secret, ...fields });

  /** The whole login; resolves to the token response. */
  async function login(email, options) {
    const { form, verifier } = await chooser(email, options);
    const { location } = await decide(form);
    const response = await token({ grant_type: 'authorization_code', code: location.searchParams.get('code'), redirect_uri: REDIRECT, code_verifier: verifier });
    assert.equal(response.status, 200);
    return response.json();
  }

  const get = (path, accessToken, headers = {}) => fetch(url + path, { headers: { ...(accessToken && { authorization: `Bearer ${accessToken}` }), ...headers } });
  /** A JSON answer that must be a success. */
  async function read(path, accessToken) {
    const response = await get(path, accessToken);
    const body = await response.json();
    assert.equal(response.status, 200, JSON.stringify(body));
    return body;
  }
  /** A refusal: its status and Google's error object. */
  async function refusal(path, accessToken) {
    const response = await get(path, accessToken);
    const { error } = await response.json();
    assert.equal(response.status, error.code);
    return error;
  }
  const control = async (method, path, body) => (await fetch(`${url}/_emulator/${path}`, { method, body: body && JSON.stringify(body) })).json();
  return { post, chooser, decide, token, login, get, read, refusal, control };
}

/** Asserts that every field of an answer is one that Google's discovery document knows. */
export function conforms(value, type, path = type) {
  if (Array.isArray(value)) {
    value.forEach((item, i) => conforms(item, type, `${path}[${i}]`));
    return;
  }
  if (value === null || typeof value !== 'object') return;
  const fields = typeof type === 'string' ? API.schemas[type] : type;
  assert.ok(fields, `${path} is not an object in Google's documents`);
  for (const [key, below] of Object.entries(value)) {
    const field = fields[key] ?? fields['*'];
    assert.notEqual(field, undefined, `${path}.${key} is not in Google's documents`);
    conforms(below, field, `${path}.${key}`);
  }
}
