// Pages of a list. A token is opaque and belongs to the list it came from, as Google's do.

import { createHash } from 'node:crypto';
import { GoogleError } from './errors.mjs';

/** One page of `items`; `list` says which list this is (everything that selects or orders it). */
export function page(items, size, token, list) {
  const tag = createHash('sha256').update(JSON.stringify(list)).digest('base64url').slice(0, 12);
  const start = token ? offset(token, tag) : 0;
  const end = start + size;
  const next = end < items.length ? Buffer.from(`${tag}:${end}`).toString('base64url') : undefined;
  return { items: items.slice(start, end), next };
}

function offset(token, tag) {
  const [of, at] = Buffer.from(token, 'base64url').toString().split(':');
  if (of !== tag || !/^\d+$/.test(at ?? '')) throw new GoogleError(400, 'Invalid Value', { reason: 'invalid', location: 'pageToken' });
  return Number(at);
}
