// Docs and Sheets.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRange, rangeName } from './a1.mjs';
import { emulator } from './testing.mjs';

const google = await emulator();
const ana = (await google.login('ana@example.com')).access_token;
const { canary } = google.users[0];
const id = async (name) => (await google.read(`/drive/v3/files?q=${encodeURIComponent(`name = '${name}'`)}`, ana)).files[0].id;
const [doc, sheet] = [await id('Project plan'), await id('Budget 2026')];
const values = (range, query = '') => google.read(`/v4/spreadsheets/${sheet}/values/${encodeURIComponent(range)}?${query}`, ana);

/** The text of structural elements, and a check that the indexes follow on from each other. */
function textOf(content, at = content[0].startIndex ?? 0) {
  let text = '';
  let end = at;
  for (const element of content) {
    assert.equal(element.startIndex ?? 0, end);
    end = element.endIndex;
    for (const part of element.paragraph?.elements ?? []) {
      assert.equal(part.endIndex - part.startIndex, part.textRun.content.length);
      text += part.textRun.content;
    }
    for (const row of element.table?.tableRows ?? []) text += row.tableCells.map((cell) => textOf(cell.content)).join('|');
  }
  return text;
}

test('without tabs the answer is the first tab, at the top', async () => {
  const document = await google.read(`/v1/documents/${doc}`, ana);
  assert.equal(document.tabs, undefined);
  const text = textOf(document.body.content);
  assert.ok(text.startsWith(`Project plan\nThis plan is confidential. ${canary}.doc-plan 😀`));
  assert.ok(text.includes('Phase\n|Owner\n|Due\n'));
  assert.ok(!text.includes('doc-plan-tab2'));
});

test('with tabs it has all of them, nested ones too, and nothing at the top', async () => {
  const document = await google.read(`/v1/documents/${doc}?includeTabsContent=true`, ana);
  assert.equal(document.body, undefined);
  const [overview, details] = document.tabs;
  assert.equal(overview.tabProperties.title, 'Overview');
  assert.ok(textOf(details.documentTab.body.content).includes(`${canary}.doc-plan-tab2`));
  assert.equal(details.childTabs[0].tabProperties.parentTabId, details.tabProperties.tabId);
  assert.ok(textOf(details.childTabs[0].documentTab.body.content).includes(`${canary}.doc-plan-nested`));
});

test('headings, lists, tables, bold and links keep their form', async () => {
  const { body, lists } = await google.read(`/v1/documents/${doc}`, ana);
  const paragraphs = body.content.flatMap(({ paragraph }) => paragraph ?? []);
  assert.deepEqual(paragraphs.map((p) => p.paragraphStyle.namedStyleType).filter((s) => s !== 'NORMAL_TEXT'), ['HEADING_1', 'HEADING_2']);
  const bullets = paragraphs.flatMap(({ bullet }) => bullet ?? []);
  assert.deepEqual(bullets.map(({ nestingLevel }) => nestingLevel), [undefined, 1, undefined, undefined, undefined]);
  assert.ok(bullets.every(({ listId }) => listId in lists));
  assert.equal(lists['kix.ordered'].listProperties.nestingLevels[0].glyphType, 'DECIMAL');
  const { table } = body.content.find((element) => element.table);
  assert.deepEqual([table.rows, table.columns], [3, 3]);
  assert.equal(body.content.find((element) => element.table).endIndex, table.tableRows.at(-1).endIndex + 1);
  const runs = paragraphs.flatMap(({ elements }) => elements.map(({ textRun }) => textRun));
  assert.ok(runs.find(({ content }) => content === 'confidential').textStyle.bold);
  assert.equal(runs.find(({ content }) => content === 'the site').textStyle.link.url, 'https://example.com/plan');
});

test('a wrong id, and a file of another kind, are refused without the old list of errors', async () => {
  const missing = await google.refusal('/v1/documents/nope', ana);
  assert.deepEqual([missing.code, missing.status, missing.errors], [404, 'NOT_FOUND', undefined]);
  assert.equal((await google.refusal(`/v1/documents/${sheet}`, ana)).status, 'FAILED_PRECONDITION');
  assert.equal((await google.refusal(`/v4/spreadsheets/${doc}`, ana)).status, 'FAILED_PRECONDITION');
  assert.equal((await google.refusal('/v4/spreadsheets/nope/values/A1', ana)).status, 'NOT_FOUND');
});

test('the metadata names the sheets and their sizes, all or those of the ranges', async () => {
  const { properties, sheets } = await google.read(`/v4/spreadsheets/${sheet}`, ana);
  assert.equal(properties.title, 'Budget 2026');
  assert.deepEqual(sheets.map(({ properties: { title, index, gridProperties } }) => [title, index, gridProperties.rowCount]), [['Sheet1', 0, 1000], ["Q1 'draft'", 1, 200]]);
  const some = await google.read(`/v4/spreadsheets/${sheet}?ranges=${encodeURIComponent("'Q1 ''draft'''!A1")}`, ana);
  assert.deepEqual(some.sheets.map(({ properties: { index } }) => index), [1]);
});

test('ragged rows are trimmed, empty ones inside stay, and the range is written in full', async () => {
  const answer = await values('Sheet1!A1:F10');
  assert.equal(answer.range, 'Sheet1!A1:F10');
  assert.deepEqual(answer.values.slice(2), [['Power', '$80.50', 'FALSE'], [], ['Total', '$1,280.50', '', '', '', 'checked'], ['Ratio', '#DIV/0!']]);
  assert.deepEqual(await values('Sheet1!H1:J9'), { range: 'Sheet1!H1:J9', majorDimension: 'ROWS' });
  assert.equal((await values('Sheet1')).range, 'Sheet1!A1:Z1000');
  assert.equal((await values("'Q1 ''draft'''!A:B")).range, "'Q1 ''draft'''!A1:B200");
  assert.deepEqual((await values('B2')).values, [['$1,200.00']]);
});

test('values are rendered as asked for', async () => {
  assert.deepEqual((await values('A2:D2', 'valueRenderOption=UNFORMATTED_VALUE')).values, [['Rent', 1200, true, 46023]]);
  assert.deepEqual((await values('A5:B5', 'valueRenderOption=FORMULA')).values, [['Total', '=SUM(B2:B3)']]);
  assert.deepEqual((await values('A1:B3', 'majorDimension=COLUMNS')).values, [['Item', 'Rent', 'Power'], ['Amount', '$1,200.00', '$80.50']]);
  assert.equal((await google.refusal(`/v4/spreadsheets/${sheet}/values/A1?valueRenderOption=PRETTY`, ana)).code, 400);
});

test('a bad range is refused in the words of Google', async () => {
  const refused = (range) => google.refusal(`/v4/spreadsheets/${sheet}/values/${encodeURIComponent(range)}`, ana);
  assert.deepEqual(await refused('Nope!A1'), { code: 400, message: 'Unable to parse range: Nope!A1', status: 'INVALID_ARGUMENT' });
  assert.equal((await refused('Sheet1!A1001')).message, 'Range (Sheet1!A1001) exceeds grid limits. Max rows: 1000, max columns: 26');
  for (const range of ['A1:', '1A', 'A', 'A0', 'Sheet1!', "'Sheet1!A1", 'A1:B2:C3', 'A:1']) assert.equal((await refused(range)).code, 400, range);
});

test('ranges are read in every form of A1 notation', () => {
  const sheets = [{ title: 'One', grid: { rows: 9, columns: 30 } }, { title: 'My sheet', grid: { rows: 5, columns: 3 } }];
  const read = (text) => rangeName(parseRange(text, sheets));
  const forms = { A1: 'One!A1', 'A1:B2': 'One!A1:B2', 'B2:A1': 'One!A1:B2', '$A$1:$B$2': 'One!A1:B2', 'A:B': 'One!A1:B9', '2:3': 'One!A2:AD3', 'A2:B': 'One!A2:B9', 'A2:2': undefined, AC1: 'One!AC1', 'one!a1': 'One!A1', "'My sheet'!B2:Z99": "'My sheet'!B2:C5", 'My sheet': "'My sheet'!A1:C5", "'My sheet'": "'My sheet'!A1:C5" };
  for (const [text, expected] of Object.entries(forms)) {
    if (expected) assert.equal(read(text), expected, text);
    else assert.throws(() => read(text), { code: 400 }, text);
  }
});
