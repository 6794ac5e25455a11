// An OAuth client provider for both SDKs, whose "open the browser" is the scripted browser.

import { Browser } from './browser.mjs';

const REDIRECT = 'http://127.0.0.1:33418/callback';

/** Remembers registration and tokens, and logs `email` in when the SDK asks for a browser. */
export class Login {
  logins = 0;
  #client;
  #tokens;
  #verifier;
  #code;
  #discovery;

  constructor(email) {
    this.email = email;
  }

  get redirectUrl() { return REDIRECT; }

  get clientMetadata() {
    return {
      client_name: 'client test',
      redirect_uris: [REDIRECT],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }

  clientInformation() { return this.#client; }
  saveClientInformation(client) { this.#client = client; }
  tokens() { return this.#tokens; }
  saveTokens(tokens) { this.#tokens = tokens; }
  discoveryState() { return this.#discovery; }
  saveDiscoveryState(state) { this.#discovery = state; }
  codeVerifier() { return this.#verifier; }
  saveCodeVerifier(verifier) { this.#verifier = verifier; }

  async redirectToAuthorization(url) {
    this.logins += 1;
    const { location, status, html } = await new Browser().logIn(url.href, this.email);
    if (!location?.searchParams.get('code')) throw new Error(`no code: ${status} ${location} ${html}`);
    this.#code = location.searchParams;
  }

  /** The parameters of the redirect, once. */
  takeCode() {
    const code = this.#code;
    this.#code = undefined;
    return code;
  }
}

/** Connects a client, logging in through the browser when the server asks for it. */
export async function connect(makeClient, makeTransport, login) {
  const client = makeClient();
  const transport = makeTransport(login);
  try {
    await client.connect(transport);
    return { client, transport };
  } catch (error) {
    const code = login.takeCode();
    if (!code) throw error;
    // `iss` is checked by the newer SDK (RFC 9207) and ignored by the older one.
    await transport.finishAuth(code.get('code'), code.get('iss'));
  }
  const connected = { client: makeClient(), transport: makeTransport(login) };
  await connected.client.connect(connected.transport);
  return connected;
}
