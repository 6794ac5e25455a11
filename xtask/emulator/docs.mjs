// Docs: a document's tabs as structural elements with their UTF-16 indexes.

import { createHash } from 'node:crypto';
import { GoogleError } from './errors.mjs';

/** The handlers of Docs' methods. */
export function docsApi(world) {
  return {
    'docs.documents.get': ({ email, params, query }) => {
      const file = world.drives.get(email).files.find((f) => f.id === params.documentId);
      if (!file) throw new GoogleError(404, 'Requested entity was not found.', { status: 'NOT_FOUND' });
      if (!file.doc) throw new GoogleError(400, 'This operation is not supported for this document', { status: 'FAILED_PRECONDITION' });
      return { json: document(file, query) };
    },
  };
}

function document(file, query) {
  const head = {
    title: file.name,
    revisionId: `ALBJ${createHash('sha256').update(file.id).digest('base64url')}`,
    suggestionsViewMode: query.get('suggestionsViewMode') ?? 'SUGGESTIONS_INLINE',
    documentId: file.id,
  };
  if (query.get('includeTabsContent') === 'true') return { ...head, tabs: file.doc.tabs.map((tab, i) => tabResource(tab, i)) };
  // The answer for clients from before there were tabs: the first one, at the top.
  return { ...head, ...content(file.doc.tabs[0]) };
}

function tabResource({ id, title, children = [], ...tab }, index, parent = {}) {
  const nested = children.map((child, i) => tabResource(child, i, { parentTabId: id, nestingLevel: (parent.nestingLevel ?? 0) + 1 }));
  return {
    tabProperties: { tabId: id, title, index, ...parent },
    documentTab: content(tab),
    childTabs: nested.length > 0 ? nested : undefined,
  };
}

/** Body, lists and styles of a tab. */
function content({ blocks }) {
  let at = 1;
  const take = (length) => ({ startIndex: at, endIndex: (at += length) });
  const elements = [{ endIndex: 1, sectionBreak: { sectionStyle: { columnSeparatorStyle: 'NONE', contentDirection: 'LEFT_TO_RIGHT', sectionType: 'CONTINUOUS' } } }];
  const paragraph = (runs, extra) => {
    const start = at;
    const last = runs.length - 1;
    const parts = runs.map((run, i) => {
      const text = i === last ? `${run.text}\n` : run.text;
      return { ...take(text.length), textRun: { content: text, textStyle: style(run) } };
    });
    return { startIndex: start, endIndex: at, paragraph: { elements: parts, ...extra } };
  };
  const table = (rows) => {
    const start = at;
    at += 1;
    const tableRows = rows.map((row) => {
      const rowStart = at;
      at += 1;
      const tableCells = row.map((text) => {
        const cellStart = at;
        at += 1;
        const cell = paragraph([{ text }], { paragraphStyle: named('NORMAL_TEXT') });
        return { startIndex: cellStart, endIndex: at, content: [cell], tableCellStyle: { rowSpan: 1, columnSpan: 1 } };
      });
      return { startIndex: rowStart, endIndex: at, tableCells, tableRowStyle: {} };
    });
    at += 1;
    return { startIndex: start, endIndex: at, table: { rows: rows.length, columns: rows[0].length, tableRows, tableStyle: {} } };
  };
  for (const block of blocks) {
    if (block.kind === 'table') elements.push(table(block.rows));
    else elements.push(paragraph(block.runs, paragraphExtra(block)));
  }
  return { body: { content: elements }, documentStyle: { documentFormat: { documentMode: 'PAGES' } }, namedStyles: { styles: [] }, lists: lists(blocks) };
}

const named = (namedStyleType) => ({ namedStyleType, direction: 'LEFT_TO_RIGHT' });
const style = ({ bold, link }) => ({ ...(bold && { bold }), ...(link && { underline: true, link: { url: link } }) });

function paragraphExtra({ kind, level, ordered }) {
  if (kind === 'heading') return { paragraphStyle: { ...named(`HEADING_${level}`), headingId: `h.${level}` } };
  if (kind !== 'item') return { paragraphStyle: named('NORMAL_TEXT') };
  const bullet = { listId: listId(ordered), textStyle: {}, ...(level > 0 && { nestingLevel: level }) };
  return { paragraphStyle: named('NORMAL_TEXT'), bullet };
}

const listId = (ordered) => (ordered ? 'kix.ordered' : 'kix.bullets');

function lists(blocks) {
  const used = new Set(blocks.filter(({ kind }) => kind === 'item').map(({ ordered }) => Boolean(ordered)));
  return Object.fromEntries([...used].map((ordered) => {
    const glyph = (level) => (ordered ? { glyphType: 'DECIMAL', glyphFormat: `%${level}.` } : { glyphSymbol: '●', glyphFormat: `%${level}` });
    const nestingLevels = [0, 1, 2].map((level) => ({ bulletAlignment: 'START', startNumber: 1, ...glyph(level) }));
    return [listId(ordered), { listProperties: { nestingLevels } }];
  }));
}
