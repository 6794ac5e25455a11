// Ranges in A1 notation: Sheet1!A1:B2, 'My sheet'!A:C, 2:5, A2:C, a cell, or a whole sheet.

import { GoogleError } from './errors.mjs';

/** {sheet, top, left, bottom, right}, zero-based and inclusive, cut to the grid. Throws Google's 400s. */
export function parseRange(text, sheets) {
  const [, quoted, plain, cells] = /^(?:'((?:[^']|'')+)'!|([^'!]+)!)?(.*)$/s.exec(text);
  const title = quoted?.replaceAll("''", "'") ?? plain;
  if (title === undefined) {
    const corners = parseCorners(cells);
    if (corners) return within(sheets[0], corners, text);
    // A name alone is a whole sheet.
    const sheet = named(cells.replace(/^'((?:[^']|'')+)'$/, (_, name) => name.replaceAll("''", "'")), sheets);
    if (sheet) return within(sheet, {}, text);
  }
  const sheet = title !== undefined && named(title, sheets);
  const corners = parseCorners(cells);
  if (!sheet || !corners) throw new GoogleError(400, `Unable to parse range: ${text}`);
  return within(sheet, corners, text);
}

const named = (title, sheets) => sheets.find((sheet) => sheet.title.toLowerCase() === title.toLowerCase());

/** The two corners of a range, undefined on the sides that are open; undefined when it is none. */
function parseCorners(text) {
  const match = /^\$?([A-Z]{1,3})?\$?([1-9]\d*)?(?::\$?([A-Z]{1,3})?\$?([1-9]\d*)?)?$/i.exec(text);
  if (!match || text === '') return undefined;
  const [, column1, row1, column2, row2] = match;
  if (!text.includes(':')) return column1 && row1 ? corners(column1, row1, column1, row1) : undefined;
  if ((!column1 && !row1) || (!column2 && !row2)) return undefined;
  if (Boolean(column1) !== Boolean(column2)) return undefined;
  return corners(column1, row1, column2, row2);
}

function corners(column1, row1, column2, row2) {
  const [left, right] = ordered(columnIndex(column1), columnIndex(column2));
  const rows = [row1, row2].map((row) => (row ? Number(row) - 1 : undefined));
  // A2:C and A:C2 are open at the bottom; only two given rows can be in the wrong order.
  const [top, bottom] = rows.includes(undefined) ? [rows[0] ?? rows[1], undefined] : ordered(...rows);
  return { left, right, top, bottom };
}

const ordered = (a, b) => (a > b ? [b, a] : [a, b]);
const columnIndex = (letters) => letters && [...letters.toUpperCase()].reduce((n, c) => n * 26 + c.charCodeAt(0) - 64, 0) - 1;

function within(sheet, { top = 0, left = 0, bottom = Infinity, right = Infinity }, text) {
  const { rows, columns } = sheet.grid;
  if (top >= rows || left >= columns) {
    throw new GoogleError(400, `Range (${text.includes('!') ? text : `${quote(sheet.title)}!${text}`}) exceeds grid limits. Max rows: ${rows}, max columns: ${columns}`);
  }
  return { sheet, top, left, bottom: Math.min(bottom, rows - 1), right: Math.min(right, columns - 1) };
}

const quote = (title) => (/^[A-Za-z_][A-Za-z0-9_]*$/.test(title) ? title : `'${title.replaceAll("'", "''")}'`);

function columnName(index) {
  const letter = String.fromCharCode(65 + (index % 26));
  return index < 26 ? letter : columnName(Math.floor(index / 26) - 1) + letter;
}

/** The range as Google writes it back. */
export function rangeName({ sheet, top, left, bottom, right }) {
  const first = `${columnName(left)}${top + 1}`;
  const last = `${columnName(right)}${bottom + 1}`;
  return `${quote(sheet.title)}!${first === last ? first : `${first}:${last}`}`;
}
