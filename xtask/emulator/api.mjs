// Google's API methods as its discovery documents describe them: paths, scopes, query parameters, answers.

import { readFileSync } from 'node:fs';
import { GoogleError, badParameter, insufficientScope } from './errors.mjs';

/** The extract of the discovery documents (see extract-api.mjs). */
export const API = JSON.parse(readFileSync(new URL('google-api.json', import.meta.url), 'utf8'));

const METHODS = Object.entries(API.methods).map(([id, method]) => {
  const names = [];
  const pattern = method.path.replace(/[.]/g, '\\.').replace(/\{(\w+)\}/g, (_, name) => (names.push(name), '([^/]+)'));
  return { ...method, id, names, pattern: new RegExp(`^${pattern}$`) };
});

/** The method at this path with its path parameters, or undefined. */
export function findMethod(httpMethod, path) {
  for (const method of METHODS) {
    const match = method.httpMethod === httpMethod && method.pattern.exec(path);
    if (match) return { method, params: Object.fromEntries(method.names.map((name, i) => [name, decode(match[i + 1])])) };
  }
  return undefined;
}

function decode(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new GoogleError(400, 'Invalid path encoding.', { reason: 'badRequest' });
  }
}

/** 403 unless one of the token's scopes is among those that Google lists for the method. */
export function checkScopes(method, scopes) {
  if (!method.scopes.some((scope) => scopes.has(scope))) throw insufficientScope(method);
}

/** Refuses a query parameter that the method does not have, or a value that is not of its type. */
export function checkQuery(method, query) {
  for (const [name, value] of query) {
    const parameter = method.query[name];
    if (!parameter) {
      if (API.system.includes(name)) continue;
      const message = `Invalid JSON payload received. Unknown name "${name}": Cannot bind query parameter. Field '${name}' could not be found in request message.`;
      throw badParameter(name, message, 'badRequest');
    }
    if (!valid(parameter, value)) throw badParameter(name, `Invalid value at '${name}' (${parameter.type}), "${value}"`);
  }
  const alt = query.get('alt') ?? 'json';
  if (alt !== 'json' && !(alt === 'media' && method.media)) throw badParameter('alt', `Unsupported alt type "${alt}"`);
}

function valid({ type, values, min = -Infinity, max = Infinity }, value) {
  if (values) return values.includes(value);
  if (type === 'integer') return /^-?\d+$/.test(value) && Number(value) >= min && Number(value) <= max;
  if (type === 'boolean') return value === 'true' || value === 'false';
  // RFC 3339 with its mandatory zone; a date alone or a local time is refused, as Google does.
  if (type === 'date-time') return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i.test(value) && !Number.isNaN(Date.parse(value));
  return true;
}
