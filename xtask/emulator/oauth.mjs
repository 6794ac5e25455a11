// Google's OpenID provider: emulate's user chooser and codes, with the checks and answers of the real one.

import { createHash } from 'node:crypto';
import { jsonResponse } from './errors.mjs';
import { subjectOf } from './tokens.mjs';

const CALLBACK = '/o/oauth2/v2/auth/callback';
const CHOOSER_FIELDS = ['access_type', 'prompt'];
const EXPANDED = {
  email: 'https://www.googleapis.com/auth/userinfo.email',
  profile: 'https://www.googleapis.com/auth/userinfo.profile',
};
const form = (fields) => ({ contentType: 'application/x-www-form-urlencoded', body: new URLSearchParams(fields).toString() });
const escape = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const refuse = (error, description, status = 400) => jsonResponse(status, { error, error_description: description });

function errorPage(status, code, text) {
  const html = `<!doctype html><meta charset="utf-8"><title>Error ${status}: ${code}</title><h1>Access blocked</h1><p>${escape(text)}</p><p>Error ${status}: ${code}</p>`;
  return { status, headers: { 'content-type': 'text/html; charset=utf-8' }, body: Buffer.from(html) };
}

function redirect(uri, parameters) {
  const url = new URL(uri);
  for (const [name, value] of Object.entries(parameters)) if (value) url.searchParams.set(name, value);
  return { status: 302, headers: { location: url.href }, body: Buffer.alloc(0) };
}

/** `/auth/callback` on loopback is welcome on any port, because tests do not know theirs in advance. */
function redirectAllowed(uri, registered) {
  if (registered.includes(uri)) return true;
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  return url?.protocol === 'http:' && ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname) && uri === `${url.origin}/auth/callback`;
}

/** The OAuth part. `people`: email -> {name, hd}; `client`: {id, secret, redirectUris}. */
export class OAuth {
  constructor({ inner, tokens, signer, people, client, issuer }) {
    Object.assign(this, { inner, tokens, signer, people, client, issuer });
  }

  /** The answer, or undefined when the path is none of these. */
  route(method, url, body, headers) {
    const routes = {
      'GET /.well-known/openid-configuration': () => this.#discovery(),
      'GET /oauth2/v3/certs': () => jsonResponse(200, this.signer.jwks(), { 'cache-control': 'public, max-age=20000' }),
      'GET /o/oauth2/v2/auth': () => this.#authorize(url),
      [`POST ${CALLBACK}`]: () => this.#decide(Object.fromEntries(new URLSearchParams(body.toString()))),
      'POST /oauth2/token': () => this.#token(tokenFields(body, headers)),
      'POST /oauth2/revoke': () => this.#revoke(url.searchParams.get('token') ?? new URLSearchParams(body.toString()).get('token') ?? ''),
      'GET /oauth2/v2/userinfo': () => this.#userinfo(headers),
      'POST /oauth2/v2/userinfo': () => this.#userinfo(headers),
    };
    return routes[`${method} ${url.pathname}`]?.();
  }

  /** Whom a request to these paths is about, for the journal and the faults. */
  owner(url, body, headers) {
    if (url.pathname === CALLBACK) return new URLSearchParams(body.toString()).get('email') || null;
    if (url.pathname !== '/oauth2/token') return null;
    const fields = tokenFields(body, headers);
    return this.tokens.codes.get(fields.code)?.email ?? this.tokens.ownerOf(fields.refresh_token) ?? null;
  }

  async #discovery() {
    const document = (await this.inner.request('GET', '/.well-known/openid-configuration')).json();
    return jsonResponse(200, { ...document, authorization_response_iss_parameter_supported: true });
  }

  /** What is wrong with a request for authorization, as the page that Google shows instead of redirecting. */
  #blocked({ client_id: clientId, redirect_uri: uri = '', scope, code_challenge_method: method }) {
    if (clientId !== this.client.id) return errorPage(401, 'invalid_client', 'The OAuth client was not found.');
    if (!redirectAllowed(uri, this.client.redirectUris)) return errorPage(400, 'redirect_uri_mismatch', `The redirect URI ${uri} is not registered.`);
    if (!scope) return errorPage(400, 'invalid_request', 'Missing required parameter: scope');
    if (method && method !== 'S256' && method !== 'plain') return errorPage(400, 'invalid_request', 'Invalid parameter value for code_challenge_method.');
    return undefined;
  }

  async #authorize(url) {
    const asked = Object.fromEntries(url.searchParams);
    const blocked = this.#blocked(asked);
    if (blocked) return blocked;
    if (asked.response_type !== 'code') return errorPage(400, 'unsupported_response_type', 'Only the code flow is served here.');
    if (asked.prompt === 'none') return redirect(asked.redirect_uri, { error: 'interaction_required', state: asked.state, iss: this.issuer });
    const page = await this.inner.request('GET', `${url.pathname}${url.search}`);
    const html = this.#chooser(page.body.toString(), asked);
    return { status: page.status, headers: { 'content-type': 'text/html; charset=UTF-8' }, body: Buffer.from(html) };
  }

  /** emulate's page: only our people (the hinted one alone), the fields it drops, and a way to say no. */
  #chooser(html, asked) {
    const extra = CHOOSER_FIELDS.map((name) => `<input type="hidden" name="${name}" value="${escape(asked[name] ?? '')}"/>`).join('');
    let last = '';
    const shown = html.replace(/<form class="user-form"[\s\S]*?<\/form>/g, (block) => {
      const email = /name="email" value="([^"]*)"/.exec(block)?.[1];
      if (!this.people.has(email)) return '';
      last = block.replace('<button', () => `${extra}<button`);
      return this.people.has(asked.login_hint) && asked.login_hint !== email ? '' : last;
    });
    const cancel = last
      .replace(/name="email" value="[^"]*"/, 'name="email" value="deny"')
      .replace(/<button[\s\S]*<\/button>/, '<button type="submit" class="user-btn">Cancel</button>');
    return shown.replace(/<\/form>(?![\s\S]*<\/form>)/, () => `</form>\n${cancel}`);
  }

  /** The person's decision: emulate makes the code, we remember what it is good for. */
  async #decide(posted) {
    const blocked = this.#blocked(posted);
    if (blocked) return blocked;
    const { email, redirect_uri: uri, state, scope } = posted;
    if (email === 'deny') return redirect(uri, { error: 'access_denied', state, iss: this.issuer });
    const person = this.people.get(email);
    if (!person) return errorPage(400, 'invalid_request', `There is no account ${email}.`);
    const answer = await this.inner.request('POST', CALLBACK, form(posted));
    const code = new URL(answer.headers.location).searchParams.get('code');
    const granted = scope.split(/\s+/).filter(Boolean).map((s) => EXPANDED[s] ?? s).join(' ');
    const fresh = this.tokens.consent(email, posted.client_id);
    const offline = posted.access_type === 'offline' && (fresh || /\bconsent\b/.test(posted.prompt ?? ''));
    this.tokens.codes.set(code, { email, scope: granted, clientId: posted.client_id, redirectUri: uri, offline });
    return redirect(uri, { state, iss: this.issuer, code, scope: granted, authuser: '0', hd: person.hd, prompt: fresh ? 'consent' : 'none' });
  }

  #token(fields) {
    if (fields.client_id !== this.client.id) return refuse('invalid_client', 'The OAuth client was not found.', 401);
    if (fields.client_secret !== this.client.secret) return refuse('invalid_client', 'Unauthorized', 401);
    if (fields.grant_type === 'authorization_code') return this.#redeem(fields);
    if (fields.grant_type === 'refresh_token') return this.#renew(fields);
    return refuse('unsupported_grant_type', `Invalid grant_type: ${fields.grant_type ?? ''}`);
  }

  async #redeem(fields) {
    const grant = this.tokens.codes.get(fields.code);
    if (!grant) return refuse('invalid_grant', 'Malformed auth code.');
    if (fields.redirect_uri !== grant.redirectUri) return refuse('redirect_uri_mismatch', 'Bad Request');
    const answer = await this.inner.request('POST', '/oauth2/token', form(fields));
    if (answer.status !== 200) return jsonResponse(answer.status, answer.json());
    const minted = answer.json();
    this.tokens.codes.delete(fields.code);
    if (grant.offline) this.tokens.addRefresh(minted.refresh_token, grant);
    const issued = { access_token: minted.access_token, refresh_token: grant.offline ? minted.refresh_token : undefined };
    return this.#issue(issued, grant, JSON.parse(Buffer.from(minted.id_token.split('.')[1], 'base64url')));
  }

  async #renew(fields) {
    const grant = this.tokens.refresh(fields.refresh_token);
    if (!grant) return refuse('invalid_grant', 'Token has been expired or revoked.');
    const answer = await this.inner.request('POST', '/oauth2/token', form(fields));
    if (answer.status !== 200) return jsonResponse(answer.status, answer.json());
    return this.#issue({ access_token: answer.json().access_token }, grant, {});
  }

  #issue(issued, grant, { nonce }) {
    this.tokens.addAccess(issued.access_token, grant);
    const now = Math.floor(Date.now() / 1000);
    const halfHash = createHash('sha256').update(issued.access_token).digest().subarray(0, 16).toString('base64url');
    const azp = { iss: this.issuer, azp: grant.clientId, aud: grant.clientId, at_hash: halfHash, nonce, iat: now, exp: now + 3600 };
    const openid = grant.scope.split(' ').includes('openid');
    return jsonResponse(200, {
      access_token: issued.access_token,
      expires_in: Math.ceil(this.tokens.expiresIn),
      refresh_token: issued.refresh_token,
      scope: grant.scope,
      token_type: 'Bearer',
      id_token: openid ? this.signer.sign({ ...this.#claims(grant), ...azp }) : undefined,
    }, { 'cache-control': 'no-cache, no-store, max-age=0, must-revalidate' });
  }

  /** The claims about a person that the scopes allow. */
  #claims({ email, scope }) {
    const person = this.people.get(email);
    const scopes = scope.split(' ');
    return {
      sub: subjectOf(email),
      ...(scopes.includes(EXPANDED.email) && { email, email_verified: true }),
      ...(scopes.includes(EXPANDED.profile) && { name: person.name, given_name: person.name.split(' ')[0], family_name: person.name.split(' ')[1] }),
      ...(person.hd && { hd: person.hd }),
    };
  }

  #userinfo(headers) {
    const held = this.tokens.access(bearerOf(headers) ?? '');
    if (!held || held.expired) {
      return jsonResponse(401, { error: 'invalid_request', error_description: 'Invalid Credentials' }, { 'www-authenticate': 'Bearer realm="https://accounts.google.com/", error="invalid_token"' });
    }
    return jsonResponse(200, this.#claims({ email: held.email, scope: [...held.scopes].join(' ') }));
  }

  async #revoke(token) {
    const held = this.tokens.access(token) ?? this.tokens.refresh(token);
    if (!held) return refuse('invalid_token', 'Token expired or revoked');
    this.tokens.revoke(held.email, held.clientId);
    await this.inner.request('POST', '/oauth2/revoke', form({ token }));
    return jsonResponse(200, {});
  }
}

/** The bearer of a request, or undefined. */
export function bearerOf(headers) {
  return /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
}

/** The fields of a token request: form or JSON, the client's credentials in the body or by Basic. */
function tokenFields(body, headers) {
  let fields;
  try {
    fields = /json/.test(headers['content-type'] ?? '') ? (JSON.parse(body) ?? {}) : Object.fromEntries(new URLSearchParams(body.toString()));
  } catch {
    fields = {};
  }
  const basic = /^Basic (.+)$/i.exec(headers.authorization ?? '')?.[1];
  if (!basic) return fields;
  const [id, secret] = Buffer.from(basic, 'base64').toString().split(':').map((part) => decodeURIComponent(part.replaceAll('+', ' ')));
  return { client_id: id, client_secret: secret, ...fields };
}
