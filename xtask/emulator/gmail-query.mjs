// Gmail's search language: words, "phrases", operators, -not, OR, (all of these), {one of these}.

import { hasWords } from './text.mjs';

const LABELS = { inbox: 'INBOX', sent: 'SENT', draft: 'DRAFT', drafts: 'DRAFT', spam: 'SPAM', trash: 'TRASH', unread: 'UNREAD', starred: 'STARRED', important: 'IMPORTANT' };
const DAY = 86_400_000;
const SPAN = { d: DAY, m: 30 * DAY, y: 365 * DAY };
const UNIT = { k: 1 << 10, m: 1 << 20 };

const labelled = (value) => (m) => m.labelIds.includes(LABELS[value.toLowerCase()] ?? value);
const field = (name) => (value) => (m) => hasWords(m.fields[name], value);
const age = (value, keep) => {
  const [, count, unit] = /^(\d+)([dmy])$/.exec(value) ?? [];
  return (m) => Boolean(unit) && keep(Number(m.internalDate), Date.now() - count * SPAN[unit]);
};
const date = (value, keep) => {
  const at = /^\d{5,}$/.test(value) ? Number(value) * 1000 : Date.parse(`${value.replaceAll('/', '-')}T00:00:00Z`.replace(/-(\d)(?=[-T])/g, '-0$1'));
  return (m) => keep(Number(m.internalDate), at);
};
const bytes = (value) => {
  const [, count, unit] = /^(\d+)([km]?)$/i.exec(value) ?? [];
  return Number(count) * (UNIT[unit?.toLowerCase()] ?? 1);
};
const anywhere = (value) => (m) => hasWords([...Object.values(m.fields), m.body, ...m.filenames].join('\n'), value);

const OPERATORS = {
  from: field('from'),
  to: field('to'),
  cc: field('cc'),
  bcc: field('bcc'),
  subject: field('subject'),
  rfc822msgid: (value) => (m) => m.fields['message-id'].replace(/[<>]/g, '') === value.replace(/[<>]/g, ''),
  label: labelled,
  category: (value) => (m) => m.labelIds.includes(`CATEGORY_${value.toUpperCase()}`),
  in: (value) => (value.toLowerCase() === 'anywhere' ? () => true : labelled(value)),
  is: (value) => (value.toLowerCase() === 'read' ? (m) => !m.labelIds.includes('UNREAD') : labelled(value)),
  has: (value) => (m) => (value.toLowerCase() === 'attachment' ? m.filenames.length > 0 : false),
  filename: (value) => (m) => m.filenames.some((name) => hasWords(name, value) || name.toLowerCase().endsWith(`.${value.toLowerCase()}`)),
  newer_than: (value) => age(value, (at, limit) => at >= limit),
  older_than: (value) => age(value, (at, limit) => at < limit),
  after: (value) => date(value, (at, limit) => at >= limit),
  newer: (value) => date(value, (at, limit) => at >= limit),
  before: (value) => date(value, (at, limit) => at < limit),
  older: (value) => date(value, (at, limit) => at < limit),
  larger: (value) => (m) => m.bytes.length > bytes(value),
  smaller: (value) => (m) => m.bytes.length < bytes(value),
};

/** A predicate over mails. As in Gmail every text is a valid query, and one without words finds everything. */
export function messageFilter(query) {
  const tokens = query.match(/-?[A-Za-z0-9_]+:(?=["({])|-?"[^"]*"?|-(?=[({])|[(){}]|[^\s(){}"]+/g) ?? [];
  let at = 0;
  const all = (tests) => (m) => tests.every((test) => test(m));
  const any = (tests) => (m) => tests.some((test) => test(m));

  /** A sequence up to `close`: terms next to each other must all hold, OR binds its neighbours. */
  const sequence = (close, make, join) => {
    const tests = [];
    while (at < tokens.length && tokens[at] !== close) {
      const alternatives = [term(make)];
      while (tokens[at] === 'OR') {
        at += 1;
        alternatives.push(term(make));
      }
      tests.push(any(alternatives));
    }
    at += 1;
    return join(tests);
  };
  const term = (make) => {
    const token = tokens[at] ?? '';
    at += 1;
    if (token.startsWith('-') && token.length > 1) {
      tokens[(at -= 1)] = token.slice(1);
      const test = term(make);
      return (m) => !test(m);
    }
    if (token === '-') {
      const test = term(make);
      return (m) => !test(m);
    }
    if (token === '(') return sequence(')', make, all);
    if (token === '{') return sequence('}', make, any);
    if (token === ')' || token === '}' || token === 'AND' || token === '') return () => true;
    const [, name, value] = /^([A-Za-z0-9_]+):(.*)$/.exec(token) ?? [];
    const operator = OPERATORS[name?.toLowerCase()];
    if (operator && value === '') return at < tokens.length ? term(operator) : () => true;
    if (operator) return operator(value.replaceAll('"', ''));
    return make(token.replaceAll('"', ''));
  };
  return sequence(undefined, anywhere, all);
}
