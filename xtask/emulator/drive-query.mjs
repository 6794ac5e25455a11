// The `q` of Drive's files.list: comparisons joined by and, or, not and parentheses.

import { GoogleError } from './errors.mjs';
import { hasWords } from './text.mjs';

const refuse = () => new GoogleError(400, 'Invalid Value', { reason: 'invalid', location: 'q' });
const ascii = (op, a, b) => ({ '=': a === b, '!=': a !== b, '<': a < b, '<=': a <= b, '>': a > b, '>=': a >= b })[op];
const only = (allowed, op) => {
  if (!allowed.includes(op)) throw refuse();
};

const FIELDS = {
  // Drive's `contains` finds words of a name by their beginning.
  name: (op, v) => (only(['=', '!=', 'contains'], op), (f) => (op === 'contains' ? hasWords(f.name, v, { prefix: true }) : ascii(op, f.name, v))),
  fullText: (op, v) => (only(['contains'], op), (f) => phrases(v).every((p) => hasWords(`${f.name}\n${f.description ?? ''}\n${f.text}`, p))),
  mimeType: (op, v) => (only(['=', '!=', 'contains'], op), (f) => (op === 'contains' ? f.mimeType.startsWith(v) : ascii(op, f.mimeType, v))),
  modifiedTime: (op, v) => time('modifiedTime', op, v),
  createdTime: (op, v) => time('createdTime', op, v),
  trashed: (op, v) => flag('trashed', op, v),
  starred: (op, v) => flag('starred', op, v),
};
const LISTS = {
  parents: (v) => (f) => f.parents.includes(v),
  owners: (v) => (f) => !f.driveId && f.owner === v,
  writers: (v) => (f) => f.owner === v,
  readers: (v) => (f) => f.owner === v,
};

/** In fullText a "phrase" in double quotes stays together; other words may stand anywhere. */
const phrases = (value) => (value.match(/"[^"]*"|\S+/g) ?? []).map((p) => p.replaceAll('"', ''));

function time(field, op, value) {
  only(['=', '!=', '<', '<=', '>', '>='], op);
  const at = Date.parse(value);
  if (Number.isNaN(at)) throw refuse();
  return (f) => ascii(op, f[field], at);
}

function flag(field, op, value) {
  only(['=', '!='], op);
  if (typeof value !== 'boolean') throw refuse();
  return (f) => ascii(op, Boolean(f[field]), value);
}

function tokenize(text) {
  const tokens = [];
  const pattern = /\s*(?:'((?:[^'\\]|\\.)*)'|([A-Za-z]+)|(!=|<=|>=|[=<>()]))/y;
  const end = text.trimEnd().length;
  while (pattern.lastIndex < end) {
    const match = pattern.exec(text);
    if (!match) throw refuse();
    const [, quoted, word, sign] = match;
    tokens.push(quoted === undefined ? { word: word ?? sign } : { value: quoted.replace(/\\(.)/g, '$1') });
  }
  return tokens;
}

/** A predicate over files; `rootId` is what 'root' stands for. Throws Google's 400 when the text is no query. */
export function fileFilter(text, rootId) {
  const tokens = tokenize(text);
  let at = 0;
  const next = () => tokens[(at += 1) - 1] ?? {};
  const accept = (word) => tokens[at]?.word === word && Boolean((at += 1));
  const either = () => {
    const tests = [both()];
    while (accept('or')) tests.push(both());
    return (f) => tests.some((test) => test(f));
  };
  const both = () => {
    const tests = [unary()];
    while (accept('and')) tests.push(unary());
    return (f) => tests.every((test) => test(f));
  };
  const unary = () => {
    if (accept('not')) {
      const test = unary();
      return (f) => !test(f);
    }
    if (!accept('(')) return comparison();
    const test = either();
    if (!accept(')')) throw refuse();
    return test;
  };
  const comparison = () => {
    const first = next();
    const operator = next().word;
    if (first.value !== undefined) {
      const list = LISTS[next().word];
      if (operator !== 'in' || !list) throw refuse();
      return list(first.value === 'root' ? rootId : first.value);
    }
    if (first.word === 'sharedWithMe') {
      at -= 1; // it stands alone, or with `= true`
      const wanted = accept('=') ? next().word === 'true' : true;
      return (f) => Boolean(f.sharedWithMe) === wanted;
    }
    const operand = next();
    const value = operand.value ?? { true: true, false: false }[operand.word];
    if (!FIELDS[first.word] || value === undefined) throw refuse();
    return FIELDS[first.word](operator, value);
  };
  const test = either();
  if (at < tokens.length) throw refuse();
  return test;
}
