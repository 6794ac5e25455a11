// The `fields` parameter: which part of an answer the caller wants (a,b(c,d),e/f, and `*` for every field).

import { badParameter } from './errors.mjs';

const refuse = (text) => badParameter('fields', `Invalid field selection ${text}`);

/** Parses a mask into nested maps: name -> map of the selected parts, or null for all of it. */
export function parseMask(text) {
  let at = 0;
  const selection = (closing) => {
    const tree = new Map();
    for (;;) {
      item(tree);
      if (text[at] === ',') at += 1;
      else if (text[at] === closing) return tree;
      else throw refuse(text);
    }
  };
  const item = (tree) => {
    const name = /^(?:\*|[A-Za-z0-9_$-]+)/.exec(text.slice(at))?.[0];
    if (!name) throw refuse(text);
    at += name.length;
    const below = new Map();
    if (text[at] === '/' || text[at] === '.') {
      at += 1;
      item(below);
    } else if (text[at] === '(') {
      at += 1;
      for (const [key, value] of selection(')')) below.set(key, value);
      at += 1;
    }
    merge(tree, name, below.size > 0 ? below : null);
  };
  return text === '' ? new Map() : selection(undefined);
}

function merge(tree, name, below) {
  const known = tree.get(name);
  if (below === null || known === null) tree.set(name, null);
  else if (known === undefined) tree.set(name, below);
  else for (const [key, value] of below) merge(known, key, value);
}

/** Refuses a mask that names a field which the answer (a type of google-api.json) does not have. */
export function checkMask(tree, type, schemas, path = '') {
  const fields = typeof type === 'string' ? schemas[type] : type;
  for (const [name, below] of tree) {
    const here = path ? `${path}/${name}` : name;
    if (!fields) throw refuse(here);
    const types = name === '*' ? Object.values(fields) : [fields[name] ?? fields['*']];
    if (types.includes(undefined)) throw refuse(here);
    if (below) for (const t of types.filter((t) => name !== '*' || t !== '')) checkMask(below, t, schemas, here);
  }
}

/** The selected part of an answer. */
export function applyMask(value, tree) {
  if (tree === null || value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((item) => applyMask(item, tree));
  const kept = {};
  for (const key of Object.keys(value)) {
    if (tree.has(key)) kept[key] = applyMask(value[key], tree.get(key));
    else if (tree.has('*')) kept[key] = applyMask(value[key], tree.get('*'));
  }
  return kept;
}
