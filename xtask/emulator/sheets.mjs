// Sheets: metadata of a spreadsheet, and the values of a range in A1 notation.

import { parseRange, rangeName } from './a1.mjs';
import { GoogleError } from './errors.mjs';

/** The handlers of Sheets' methods. */
export function sheetsApi(world) {
  const find = ({ email, params }) => {
    const file = world.drives.get(email).files.find((f) => f.id === params.spreadsheetId);
    if (!file) throw new GoogleError(404, 'Requested entity was not found.', { status: 'NOT_FOUND' });
    if (!file.sheets) throw new GoogleError(400, 'This operation is not supported for this document', { status: 'FAILED_PRECONDITION' });
    return file;
  };
  return {
    'sheets.spreadsheets.get': (call) => ({ json: metadata(find(call), call.query) }),
    'sheets.spreadsheets.values.get': (call) => ({ json: values(find(call), call.params.range, call.query) }),
  };
}

function metadata(file, query) {
  if (query.get('includeGridData') === 'true') throw new GoogleError(400, 'The emulator does not serve grid data; read the values.');
  const ranges = query.getAll('ranges').map((text) => parseRange(text, file.sheets).sheet);
  const shown = file.sheets.filter((sheet) => ranges.length === 0 || ranges.includes(sheet));
  return {
    spreadsheetId: file.id,
    properties: { title: file.name, locale: 'en_US', autoRecalc: 'ON_CHANGE', timeZone: file.timeZone },
    sheets: shown.map(({ id, title, grid, frozenRows }) => ({
      properties: {
        sheetId: id,
        title,
        index: file.sheets.findIndex((sheet) => sheet.id === id),
        sheetType: 'GRID',
        gridProperties: { rowCount: grid.rows, columnCount: grid.columns, frozenRowCount: frozenRows },
      },
    })),
    spreadsheetUrl: file.link,
  };
}

/** What a cell shows. A cell is a plain value or {value, formatted, formula}; undefined is empty. */
export function formatted(cell) {
  if (cell === undefined || cell === null) return '';
  if (typeof cell === 'object') return cell.formatted;
  return typeof cell === 'boolean' ? String(cell).toUpperCase() : String(cell);
}

const RENDER = {
  FORMATTED_VALUE: formatted,
  UNFORMATTED_VALUE: (cell) => (typeof cell === 'object' ? cell?.value : cell) ?? '',
  FORMULA: (cell) => (typeof cell === 'object' ? (cell?.formula ?? cell?.value) : cell) ?? '',
};

function values(file, text, query) {
  const range = parseRange(text, file.sheets);
  const render = RENDER[query.get('valueRenderOption') ?? 'FORMATTED_VALUE'];
  const byColumn = query.get('majorDimension') === 'COLUMNS';
  const cells = range.sheet.rows.slice(range.top, range.bottom + 1).map((row) => row.slice(range.left, range.right + 1));
  const width = Math.max(0, ...cells.map((row) => row.length));
  const lines = byColumn ? Array.from({ length: width }, (_, i) => cells.map((row) => row[i])) : cells;
  // Google leaves trailing empty cells and trailing empty lines out, and the whole list when nothing is left.
  const shown = trimmed(lines.map((line) => trimmed(Array.from(line, render), (v) => v === '')), (line) => line.length === 0);
  return {
    range: rangeName(range),
    majorDimension: byColumn ? 'COLUMNS' : 'ROWS',
    values: shown.length > 0 ? shown : undefined,
  };
}

function trimmed(list, isEmpty) {
  let end = list.length;
  while (end > 0 && isEmpty(list[end - 1])) end -= 1;
  return list.slice(0, end);
}
