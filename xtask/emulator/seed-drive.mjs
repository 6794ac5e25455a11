// A person's drive: folders, a Doc with tabs, a Sheet, Slides, plain files, a shared drive, the trash.

import { createHash } from 'node:crypto';
import { textOfFile } from './export.mjs';

const DAY = 86_400_000;
const GOOGLE = 'application/vnd.google-apps.';
const LINK = { document: 'document', spreadsheet: 'spreadsheets', presentation: 'presentation' };
const runs = (...pieces) => pieces.map((piece) => (typeof piece === 'string' ? { text: piece } : piece));
const heading = (level, text) => ({ kind: 'heading', level, runs: runs(text) });
const paragraph = (...pieces) => ({ kind: 'paragraph', runs: runs(...pieces) });
const item = (text, level = 0) => ({ kind: 'item', level, runs: runs(text) });
const step = (number, text) => ({ kind: 'item', level: 0, ordered: true, number, runs: runs(text) });
const table = (...rows) => ({ kind: 'table', rows });
const tab = (id, title, blocks, children) => ({ id: `t.${id}`, title, blocks, children });

function plan({ mark }) {
  const risks = tab('risks', 'Risks', [heading(2, 'Risks'), item('Late delivery'), item('Supplier', 1), paragraph(`Nested: ${mark('doc-plan-nested')}`)]);
  return {
    tabs: [
      tab('0', 'Overview', [
        heading(1, 'Project plan'),
        paragraph('This plan is ', { text: 'confidential', bold: true }, `. ${mark('doc-plan')} 😀 See `, { text: 'the site', link: 'https://example.com/plan' }, '.'),
        heading(2, 'Goals'),
        item('Ship in spring'),
        item('Keep the budget', 1),
        item('Please the customers'),
        step(1, 'Design'),
        step(2, 'Build'),
        table(['Phase', 'Owner', 'Due'], ['Design', 'Ana', 'March'], ['Build', 'Ben', 'May']),
        paragraph('That is all.'),
      ]),
      tab('details', 'Details', [heading(1, 'Details'), paragraph(`The details are here. ${mark('doc-plan-tab2')}`)], [risks]),
    ],
  };
}

const long = ({ mark }) => ({
  tabs: [tab('0', 'Tab 1', [heading(1, 'Minutes'), ...Array.from({ length: 700 }, (_, i) => paragraph(`Point ${String(i + 1).padStart(4, '0')}: it was discussed at length and nothing was decided for now.`)), paragraph(`The end. ${mark('doc-minutes-tail')}`)])],
});

/** More than the 10 MB that Google exports; made when somebody asks for it. */
const huge = { get tabs() { return [tab('0', 'Tab 1', Array.from({ length: 11 }, () => paragraph('x'.repeat(1 << 20))))]; } };

const money = (value) => ({ value, formatted: `$${value.toFixed(2).replace(/\B(?=(\d{3})+(?!\d))/g, ',')}` });

function budget({ mark }) {
  return [
    {
      id: 0,
      title: 'Sheet1',
      grid: { rows: 1000, columns: 26 },
      frozenRows: 1,
      rows: [
        ['Item', 'Amount', 'Paid', 'Date', 'Note'],
        ['Rent', money(1200), true, { value: 46023, formatted: '2026-01-01' }, mark('sheet-budget')],
        ['Power', money(80.5), false, undefined, ''],
        [],
        ['Total', { value: 1280.5, formatted: '$1,280.50', formula: '=SUM(B2:B3)' }, undefined, undefined, undefined, 'checked'],
        ['Ratio', { value: '#DIV/0! (Function DIVIDE parameter 2 cannot be zero.)', formatted: '#DIV/0!', formula: '=B5/0' }],
        [undefined, ''],
      ],
    },
    { id: 1_804_289_383, title: "Q1 'draft'", grid: { rows: 200, columns: 10 }, rows: [['Month', 'Sum'], ['January', 10], ['February', 20, mark('sheet-budget-q1')], ...Array.from({ length: 120 }, (_, i) => [`Row ${i + 4}`, i])] },
  ];
}

function items(o, { rootId, driveId }) {
  const { mark } = o;
  const folder = (name, title, parents = [rootId]) => ({ name, title, type: `${GOOGLE}folder`, parents });
  const projects = [o.fileId('projects')];
  const few = [
    folder('projects', 'Projects'),
    { name: 'plan', title: 'Project plan', type: `${GOOGLE}document`, parents: projects, starred: true, doc: plan(o) },
    { name: 'budget', title: 'Budget 2026', type: `${GOOGLE}spreadsheet`, parents: [rootId], sheets: budget(o) },
    { name: 'notes', title: 'notes.txt', type: 'text/plain', parents: [rootId], content: `Notes, with ümlauts.\nTwo lines. ${mark('file-notes')}\n` },
  ];
  if (o.small) return few;
  return [
    ...few,
    folder('archive', 'Archive', projects),
    { name: 'minutes', title: 'Minutes', type: `${GOOGLE}document`, parents: [o.fileId('archive')], doc: long(o) },
    { name: 'huge', title: 'Everything ever written', type: `${GOOGLE}document`, parents: [o.fileId('archive')], doc: huge, text: '' },
    { name: 'deck', title: 'Launch deck', type: `${GOOGLE}presentation`, parents: projects, slides: ['Launch', `One more thing: ${mark('slides-deck')}`] },
    { name: 'photo', title: 'photo.bin', type: 'application/octet-stream', parents: [rootId], content: Buffer.from(Array.from({ length: 2048 }, (_, i) => (i * 7) % 256)) },
    { name: 'report', title: 'report.md', type: 'text/markdown', parents: projects, content: `# Report\n\n${'All is well. '.repeat(6000)}\n${mark('file-report-tail')}\n` },
    { name: 'old', title: 'old notes.txt', type: 'text/plain', parents: [rootId], trashed: true, content: `Thrown away. ${mark('file-trash')}\n` },
    { name: 'shared', title: 'Team charter', type: `${GOOGLE}document`, parents: [driveId], driveId, doc: { tabs: [tab('0', 'Tab 1', [heading(1, 'Charter'), paragraph(`We are a team. ${mark('doc-shared')}`)])] } },
  ];
}

/** The drive of a person: `files` (the root folder is one of them) and `rootId`. */
export function driveOf(o) {
  const driveIdOf = (thing) => `0A${createHash('sha256').update(`${o.email}|${thing}`).digest('base64url').slice(0, 15)}Uk9PVA`.slice(0, 19);
  const ids = { rootId: driveIdOf('root'), driveId: driveIdOf('shared drive') };
  const root = { id: ids.rootId, name: 'My Drive', mimeType: `${GOOGLE}folder`, parents: undefined, text: '', createdTime: o.now - 900 * DAY, modifiedTime: o.now - 900 * DAY, owner: o.email };
  const files = items(o, ids).map(({ name, title, type, text, content, ...rest }, i) => {
    const id = o.fileId(name);
    const kind = LINK[type.slice(GOOGLE.length)];
    const file = {
      id,
      name: title,
      mimeType: type,
      description: type.startsWith('application/octet') ? o.mark(`file-${name}`) : undefined,
      owner: o.email,
      timeZone: o.timeZone,
      createdTime: o.now - (40 + i) * DAY,
      modifiedTime: o.now - (i + 1) * DAY,
      link: kind ? `https://docs.google.com/${kind}/d/${id}/edit` : `https://drive.google.com/${type === `${GOOGLE}folder` ? 'drive/folders' : 'file/d'}/${id}`,
      content: content === undefined ? undefined : Buffer.from(content),
      ...rest,
    };
    file.text = text ?? textOfFile(file);
    return file;
  });
  return { rootId: ids.rootId, files: [root, ...files] };
}
