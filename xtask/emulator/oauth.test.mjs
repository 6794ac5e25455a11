import assert from 'node:assert/strict';
import { createPublicKey, createVerify } from 'node:crypto';
import { test } from 'node:test';
import { CLIENT, REDIRECT, SCOPES, emulator } from './testing.mjs';

const google = await emulator();
const claims = (jwt) => JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url'));

test('every endpoint of the discovery document is on the public address', async () => {
  const document = await google.read('/.well-known/openid-configuration');
  assert.equal(document.issuer, google.url);
  for (const name of ['authorization_endpoint', 'token_endpoint', 'userinfo_endpoint', 'revocation_endpoint', 'jwks_uri']) {
    assert.ok(document[name].startsWith(`${google.url}/`), name);
  }
});

test('the id token is signed by a published key and says who, from where and for whom', async () => {
  const { id_token: idToken } = await google.login('ana@example.com');
  const { keys } = await google.read('/oauth2/v3/certs');
  const [head, body, signature] = idToken.split('.');
  assert.equal(JSON.parse(Buffer.from(head, 'base64url')).kid, keys[0].kid);
  const verified = createVerify('RSA-SHA256').update(`${head}.${body}`).verify(createPublicKey({ key: keys[0], format: 'jwk' }), signature, 'base64url');
  assert.ok(verified);
  const { iss, aud, email, email_verified: checked, hd, nonce, sub } = claims(idToken);
  assert.deepEqual({ iss, aud, email, checked, hd, nonce }, { iss: google.url, aud: CLIENT.id, email: 'ana@example.com', checked: true, hd: 'example.com', nonce: 'nonce-1' });
  assert.match(sub, /^\d{21}$/);
});

test('a person keeps the subject over a restart, and a consumer account has no domain', async () => {
  const other = await emulator();
  const [first, second] = await Promise.all([google, other].map(async (g) => claims((await g.login('eve@example.org')).id_token)));
  assert.equal(first.sub, second.sub);
  assert.equal(first.hd, 'example.org');
  assert.equal(claims((await google.login('zoe@example.net')).id_token).hd, undefined);
});

test('the chooser offers our people and Cancel, and nobody of emulate', async () => {
  const { forms, html } = await google.chooser('ana@example.com');
  assert.deepEqual(forms.map(({ email }) => email), ['ana@example.com', 'ben@example.com', 'eve@example.org', 'zoe@example.net', 'deny']);
  assert.ok(html.includes('Cancel'));
  const hinted = await google.chooser('ben@example.com', { login_hint: 'ben@example.com' });
  assert.deepEqual(hinted.forms.map(({ email }) => email), ['ben@example.com', 'deny']);
});

test('the answer to the redirect carries state, issuer and the granted scopes in their long form', async () => {
  const { form } = await google.chooser('ana@example.com');
  const { location } = await google.decide(form);
  assert.equal(`${location.origin}${location.pathname}`, REDIRECT);
  assert.equal(location.searchParams.get('state'), 'state-1');
  assert.equal(location.searchParams.get('iss'), google.url);
  assert.ok(location.searchParams.get('scope').includes('https://www.googleapis.com/auth/userinfo.email'));
});

test('a person who cancels sends access_denied to the client', async () => {
  const state = `a$&b"<'+/=`;
  const { form } = await google.chooser('deny', { state });
  const { location } = await google.decide(form);
  assert.equal(location.searchParams.get('error'), 'access_denied');
  assert.equal(location.searchParams.get('state'), state);
  assert.equal(location.searchParams.get('code'), null);
});

test('prompt=none cannot be answered without a person', async () => {
  const { response } = await google.chooser('ana@example.com', { prompt: 'none' });
  assert.equal(new URL(response.headers.get('location')).searchParams.get('error'), 'interaction_required');
});

test('loopback is a valid redirect on any port, and only with the right path', async () => {
  const status = async (uri) => (await google.chooser('ana@example.com', { redirect_uri: uri })).response.status;
  assert.equal(await status('http://127.0.0.1:1/auth/callback'), 200);
  assert.equal(await status('http://localhost:65535/auth/callback'), 200);
  assert.equal(await status(CLIENT.redirectUris[0]), 200);
  for (const uri of ['http://127.0.0.1:1/other', 'http://127.0.0.1:1/auth/callback?x=1', 'https://evil.example.com/auth/callback', 'http://127.0.0.1.evil.example.com/auth/callback', `${CLIENT.redirectUris[0]}/`, '']) {
    assert.equal(await status(uri), 400, uri);
  }
});

test('an unknown client, a flow other than code, no scope and an unknown account get a page and no redirect', async () => {
  assert.equal((await google.chooser('ana@example.com', { client_id: 'nobody' })).response.status, 401);
  assert.equal((await google.chooser('ana@example.com', { response_type: 'token' })).response.status, 400);
  assert.equal((await google.chooser('ana@example.com', { scope: '' })).response.status, 400);
  const { form } = await google.chooser('ana@example.com');
  const { response } = await google.decide({ ...form, email: 'mallory@example.com' });
  assert.equal(response.status, 400);
});

test('a code is good once, for its client, redirect and verifier', async () => {
  const { form, verifier } = await google.chooser('ana@example.com');
  const { location } = await google.decide(form);
  const right = { grant_type: 'authorization_code', code: location.searchParams.get('code'), redirect_uri: REDIRECT, code_verifier: verifier };
  const outcome = async (change) => {
    const response = await google.token({ ...right, ...change });
    return [response.status, (await response.json()).error];
  };
  assert.deepEqual(await outcome({ client_secret: 'wrong' }), [401, 'invalid_client']);
  assert.deepEqual(await outcome({ client_id: 'nobody' }), [401, 'invalid_client']);
  assert.deepEqual(await outcome({ redirect_uri: 'http://127.0.0.1:2/auth/callback' }), [400, 'redirect_uri_mismatch']);
  assert.deepEqual(await outcome({ code_verifier: 'wrong' }), [400, 'invalid_grant']);
  assert.deepEqual(await outcome({ grant_type: 'password' }), [400, 'unsupported_grant_type']);
  assert.deepEqual(await outcome({}), [200, undefined]);
  assert.deepEqual(await outcome({}), [400, 'invalid_grant']);
});

test('the client may send its credentials by Basic', async () => {
  const basic = (secret) => ({ authorization: `Basic ${Buffer.from(`${CLIENT.id}:${secret}`).toString('base64')}` });
  const { refresh_token: refreshToken } = await google.login('ana@example.com', { prompt: 'consent' });
  const fields = { grant_type: 'refresh_token', refresh_token: refreshToken };
  assert.equal((await google.post('/oauth2/token', fields, basic(CLIENT.secret))).status, 200);
  assert.equal((await google.post('/oauth2/token', fields, basic('wrong'))).status, 401);
});

test('a refresh token comes with offline access, the first time or when consent is asked for', async () => {
  const fresh = await emulator();
  const refreshToken = async (options) => (await fresh.login('ben@example.com', options)).refresh_token;
  assert.equal(await refreshToken({ access_type: 'online' }), undefined);
  assert.equal(await refreshToken({}), undefined);
  assert.ok(await refreshToken({ prompt: 'consent' }));
  await fresh.control('POST', 'tokens/revoke', { email: 'ben@example.com' });
  assert.ok(await refreshToken({}));
});

test('a refresh gives a new access token for the same person and scopes', async () => {
  const first = await google.login('ben@example.com', { prompt: 'consent' });
  const second = await (await google.token({ grant_type: 'refresh_token', refresh_token: first.refresh_token })).json();
  assert.notEqual(second.access_token, first.access_token);
  assert.equal(second.scope, first.scope);
  assert.equal(second.refresh_token, undefined);
  assert.equal(claims(second.id_token).email, 'ben@example.com');
  const profile = await google.read('/gmail/v1/users/me/profile', second.access_token);
  assert.equal(profile.emailAddress, 'ben@example.com');
});

test('userinfo knows the owner of a token and refuses others', async () => {
  const { access_token: token, id_token: idToken } = await google.login('ana@example.com');
  const info = await google.read('/oauth2/v2/userinfo', token);
  assert.equal(info.email, 'ana@example.com');
  assert.equal(info.sub, claims(idToken).sub);
  assert.equal((await google.get('/oauth2/v2/userinfo', 'nonsense')).status, 401);
  const bare = await google.login('ana@example.com', { scope: 'openid' });
  assert.deepEqual(Object.keys(await google.read('/oauth2/v2/userinfo', bare.access_token)).sort(), ['hd', 'sub']);
});

test('revoking one token ends the whole grant', async () => {
  const { access_token: token, refresh_token: refreshToken } = await google.login('eve@example.org', { prompt: 'consent' });
  assert.equal((await google.post('/oauth2/revoke', { token })).status, 200);
  assert.equal((await google.post('/oauth2/revoke', { token })).status, 400);
  assert.equal((await google.get('/gmail/v1/users/me/profile', token)).status, 401);
  assert.equal((await (await google.token({ grant_type: 'refresh_token', refresh_token: refreshToken })).json()).error, 'invalid_grant');
});

test('the form may ask for fewer scopes, as a person does who unticks some', async () => {
  const { form, verifier } = await google.chooser('ana@example.com');
  const { location } = await google.decide({ ...form, scope: SCOPES.filter((s) => !s.includes('gmail')).join(' ') });
  const response = await google.token({ grant_type: 'authorization_code', code: location.searchParams.get('code'), redirect_uri: REDIRECT, code_verifier: verifier });
  const { access_token: token } = await response.json();
  assert.equal((await google.get('/gmail/v1/users/me/messages', token)).status, 403);
  assert.equal((await google.get('/drive/v3/files', token)).status, 200);
});
