// Who holds which token: codes, access tokens and refresh tokens with their owner, client, scopes and expiry.

import { createHash, createSign, generateKeyPairSync } from 'node:crypto';

/** A short stable name for a token, fit for a journal. */
export const fingerprint = (token) => createHash('sha256').update(token).digest('hex').slice(0, 16);

/** The subject of a person: 21 digits, as Google's are, and the same after a restart. */
export const subjectOf = (email) => `1${(BigInt(`0x${createHash('sha256').update(`sub:${email}`).digest('hex')}`) % 10n ** 20n).toString().padStart(20, '0')}`;

/** The book of everything issued. */
export class Tokens {
  #access = new Map();
  #refresh = new Map();
  #revoked = new Map();
  #consents = new Set();
  codes = new Map();
  /** Lifetime of access tokens issued from now on, in seconds. */
  expiresIn = 3600;

  addAccess(token, { email, scope, clientId }) {
    this.#access.set(token, { email, clientId, scopes: new Set(scope.split(' ')), expiresAt: Date.now() + this.expiresIn * 1000 });
  }

  /** The holder of an access token, `expired` or not, or undefined. */
  access(token) {
    const found = this.#access.get(token);
    return found && { ...found, expired: Date.now() >= found.expiresAt };
  }

  addRefresh(token, { email, scope, clientId }) {
    this.#refresh.set(token, { email, scope, clientId });
  }

  refresh(token) {
    return this.#refresh.get(token);
  }

  /** Whose token this is or, when it was revoked, was. */
  ownerOf(token) {
    return (this.#access.get(token) ?? this.#refresh.get(token) ?? this.#revoked.get(token))?.email;
  }

  /** Remembers that a person let a client in, and says whether that is new. */
  consent(email, clientId) {
    const key = `${clientId} ${email}`;
    return !this.#consents.has(key) && Boolean(this.#consents.add(key));
  }

  /** Ends this person's access tokens as if their time were over. */
  expire(email) {
    let count = 0;
    for (const held of this.#access.values()) {
      if (held.email !== email || Date.now() >= held.expiresAt) continue;
      held.expiresAt = 0;
      count += 1;
    }
    return count;
  }

  /** Takes the person's consent back: access and refresh tokens of every client (or of one) are gone. */
  revoke(email, clientId) {
    let count = 0;
    for (const book of [this.#access, this.#refresh]) {
      for (const [token, held] of book) {
        if (held.email !== email || (clientId && held.clientId !== clientId)) continue;
        book.delete(token);
        this.#revoked.set(token, { email });
        count += 1;
      }
    }
    for (const key of this.#consents) {
      const [client, who] = key.split(' ');
      if (who === email && (!clientId || client === clientId)) this.#consents.delete(key);
    }
    return count;
  }
}

/** Signs ID tokens. emulate's own carry a subject that is random at every start, so they are signed anew. */
export class IdTokenSigner {
  #key = generateKeyPairSync('rsa', { modulusLength: 2048 });
  #kid = fingerprint(this.#key.publicKey.export({ type: 'spki', format: 'pem' }));

  /** The key set for `jwks_uri`. */
  jwks() {
    return { keys: [{ ...this.#key.publicKey.export({ format: 'jwk' }), kid: this.#kid, use: 'sig', alg: 'RS256' }] };
  }

  sign(claims) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const input = `${part({ alg: 'RS256', kid: this.#kid, typ: 'JWT' })}.${part(claims)}`;
    return `${input}.${createSign('RSA-SHA256').update(input).sign(this.#key.privateKey, 'base64url')}`;
  }
}
