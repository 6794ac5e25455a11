// Declared against live, property by property.

/** One property on which the two differ. */
export interface Difference {
  readonly path: string;
  readonly declared: unknown;
  readonly live: unknown;
}

/** Every property by its path; a list is one property, and its order does not count. */
export function flatten(value: unknown, path = ''): Map<string, unknown> {
  if (Array.isArray(value)) return new Map([[path, [...value].map((element) => stable(element)).sort()]]);
  if (typeof value !== 'object' || value === null) return new Map([[path, value]]);
  return new Map(
    Object.entries(value).flatMap(([key, child]) => [...flatten(child, path ? `${path}.${key}` : key)]),
  );
}

/** What of `live` is not as declared. What was not read is not compared: see `unread`. */
export function differences(declared: unknown, live: unknown): Difference[] {
  const wanted = flatten(declared);
  return [...flatten(live)]
    .filter(([path, value]) => stable(wanted.get(path)) !== stable(value))
    .map(([path, value]) => ({ path, declared: wanted.get(path), live: value }));
}

/** Declared properties that nothing read. */
export function unread(declared: unknown, live: unknown): string[] {
  const known = flatten(live);
  return [...flatten(declared).keys()].filter((path) => !known.has(path));
}

function stable(value: unknown): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return JSON.stringify(value) ?? 'undefined';
  return JSON.stringify(Object.fromEntries(Object.entries(value).sort(([left], [right]) => left.localeCompare(right))));
}
