// `/_emulator`: the handle that tests hold the emulator by.

import { jsonResponse } from './errors.mjs';

const ok = (value = {}) => jsonResponse(200, value);
const bad = (message, status = 400) => jsonResponse(status, { error: message });

/** Routes of `/_emulator`. `state`: {journal, faults, tokens, people, startedAt}. */
export function control(state, method, url, body) {
  const [, , noun, name] = url.pathname.split('/');
  const input = () => {
    const value = JSON.parse(body.toString() || '{}');
    if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new Error('the body is a JSON object');
    return value;
  };
  const routes = {
    'GET ': () => ok({ ok: true, startedAt: state.startedAt, users: state.people.size, faults: state.faults.list().length, journal: state.journal.seq }),
    'GET journal': () => ok(state.journal.since(Number(url.searchParams.get('since') ?? 0))),
    'DELETE journal': () => ok(state.journal.clear()),
    'GET faults': () => ok(state.faults.list()),
    'POST faults': () => ok({ id: state.faults.add(input()) }),
    'DELETE faults': () => (state.faults.remove(name) ? ok() : bad('no such fault', 404)),
    'POST tokens': () => endTokens(state, name, input().email),
    'POST settings': () => settings(state, input()),
  };
  try {
    return (routes[`${method} ${noun ?? ''}`] ?? (() => bad('no such route', 404)))();
  } catch (error) {
    return bad(error.message);
  }
}

function endTokens({ tokens, people }, verb, email) {
  if (verb !== 'expire' && verb !== 'revoke') return bad('no such route', 404);
  if (!people.has(email)) return bad(`no such user: \`${email}\``);
  return ok({ tokens: tokens[verb](email) });
}

function settings({ tokens }, { expiresIn, ...rest }) {
  const unknown = Object.keys(rest)[0];
  if (unknown) return bad(`no such setting: \`${unknown}\``);
  if (!(expiresIn > 0)) return bad('expiresIn is a positive number of seconds');
  tokens.expiresIn = expiresIn;
  return ok({ expiresIn });
}
