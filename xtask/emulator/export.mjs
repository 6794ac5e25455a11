// Drive's export: Docs as text, Markdown or HTML, Sheets as CSV or TSV, Slides as text.

import { GoogleError } from './errors.mjs';
import { formatted } from './sheets.mjs';

const LIMIT = 10 * 1024 * 1024;
const BOM = '\uFEFF';
const GOOGLE = 'application/vnd.google-apps.';
const escape = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const allTabs = (tabs) => tabs.flatMap((tab) => [tab, ...allTabs(tab.children ?? [])]);
const wordsOf = (runs) => runs.map((run) => run.text).join('');

const TEXT = {
  heading: ({ runs }) => wordsOf(runs),
  paragraph: ({ runs }) => wordsOf(runs),
  item: ({ runs, level, ordered, number }) => `${'   '.repeat(level)}${ordered ? `${number}.` : '*'} ${wordsOf(runs)}`,
  table: ({ rows }) => rows.map((row) => row.join('\t')).join('\n'),
};
const marked = (runs) => runs.map(({ text, bold, link }) => (link ? `[${text}](${link})` : bold ? `**${text}**` : text)).join('');
const MARKDOWN = {
  heading: ({ runs, level }) => `${'#'.repeat(level)} ${marked(runs)}\n`,
  paragraph: ({ runs }) => `${marked(runs)}\n`,
  item: ({ runs, level, ordered, number }) => `${'   '.repeat(level)}${ordered ? `${number}.` : '*'} ${marked(runs)}`,
  table: ({ rows: [head, ...rest] }) => [head, head.map(() => ':----'), ...rest].map((row) => `| ${row.join(' | ')} |`).join('\n').concat('\n'),
};
const tagged = (runs) => runs.map(({ text, bold, link }) => (link ? `<a href="${escape(link)}">${escape(text)}</a>` : bold ? `<b>${escape(text)}</b>` : escape(text))).join('');
const HTML = {
  heading: ({ runs, level }) => `<h${level}>${tagged(runs)}</h${level}>`,
  paragraph: ({ runs }) => `<p>${tagged(runs)}</p>`,
  item: ({ runs }) => `<ul><li>${tagged(runs)}</li></ul>`,
  table: ({ rows }) => `<table>${rows.map((row) => `<tr>${row.map((cell) => `<td>${escape(cell)}</td>`).join('')}</tr>`).join('')}</table>`,
};
const render = (doc, how) => allTabs(doc.tabs).flatMap((tab) => tab.blocks.map((block) => how[block.kind](block))).join('\n');
const table = (file, quote, separator) => file.sheets[0].rows.map((row) => row.map((cell) => quote(formatted(cell))).join(separator)).join('\r\n');
const csvCell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
// Google's plain text starts with a byte order mark and ends its lines with CR LF.
const windows = (text) => BOM + text.replace(/\r?\n/g, '\r\n');

const EXPORTS = {
  document: {
    'text/plain': (file) => windows(render(file.doc, TEXT)),
    'text/markdown': (file) => render(file.doc, MARKDOWN),
    'text/x-markdown': (file) => render(file.doc, MARKDOWN),
    'text/html': (file) => `<html><body>${render(file.doc, HTML)}</body></html>`,
  },
  spreadsheet: {
    'text/csv': (file) => table(file, csvCell, ','),
    'text/tab-separated-values': (file) => table(file, (text) => text.replace(/[\t\r\n]/g, ' '), '\t'),
  },
  presentation: { 'text/plain': (file) => windows(file.slides.join('\n\n')) },
};

/** The export of a file, or Google's refusal. */
export function exportFile(file, mimeType) {
  const kind = file.mimeType.startsWith(GOOGLE) ? file.mimeType.slice(GOOGLE.length) : undefined;
  if (!EXPORTS[kind]) throw new GoogleError(403, 'Export only supports Docs Editors files.', { reason: 'fileNotExportable' });
  if (!mimeType) throw new GoogleError(400, 'Required parameter: mimeType', { reason: 'required', location: 'mimeType' });
  const make = EXPORTS[kind][mimeType];
  if (!make) throw new GoogleError(400, 'The requested conversion is not supported.', { reason: 'badRequest', location: 'convertTo' });
  const body = Buffer.from(make(file));
  if (body.length > LIMIT) throw new GoogleError(403, 'This file is too large to be exported.', { reason: 'exportSizeLimitExceeded' });
  return { status: 200, headers: { 'content-type': mimeType, 'cache-control': 'private' }, body };
}

/** What full-text search sees of a file. */
export function textOfFile(file) {
  if (file.doc) return render(file.doc, TEXT);
  if (file.sheets) return file.sheets.flatMap((sheet) => sheet.rows.flat().map(formatted)).join('\n');
  if (file.slides) return file.slides.join('\n');
  return file.mimeType.startsWith('text/') ? file.content.toString() : '';
}
