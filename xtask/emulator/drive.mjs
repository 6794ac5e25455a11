// Drive: files of a person's own drive and of shared drives; search, metadata, download and export.

import { createHash } from 'node:crypto';
import { fileFilter } from './drive-query.mjs';
import { GoogleError, badParameter } from './errors.mjs';
import { exportFile } from './export.mjs';
import { page } from './paging.mjs';
import { subjectOf } from './tokens.mjs';

const GOOGLE = 'application/vnd.google-apps.';
const NOT_EMULATED = ['corpus', 'includeLabels', 'includePermissionsForView', 'includeTeamDriveItems', 'supportsTeamDrives', 'teamDriveId'];
const SORTS = {
  name: (f) => f.name,
  name_natural: (f) => f.name.toLowerCase(),
  createdTime: (f) => f.createdTime,
  modifiedTime: (f) => f.modifiedTime,
  viewedByMeTime: (f) => f.modifiedTime,
  modifiedByMeTime: (f) => f.modifiedTime,
  recency: (f) => f.modifiedTime,
  quotaBytesUsed: (f) => f.content?.length ?? 0,
  folder: (f) => (f.mimeType === `${GOOGLE}folder` ? 0 : 1),
  starred: (f) => (f.starred ? 0 : 1),
};
const LIST_FIELDS = 'kind,incompleteSearch,nextPageToken,files(kind,id,name,mimeType,driveId,teamDriveId)';
const FILE_FIELDS = 'kind,id,name,mimeType,driveId,teamDriveId';

/** The handlers of Drive's methods. */
export function driveApi(world) {
  const find = ({ email, params, query }, allDrives = query.get('supportsAllDrives') === 'true') => {
    const { files, rootId } = world.drives.get(email);
    const id = params.fileId === 'root' ? rootId : params.fileId;
    const file = files.find((f) => f.id === id && (allDrives || !f.driveId));
    if (file) return file;
    throw new GoogleError(404, `File not found: ${id}.`, { reason: 'notFound', location: 'fileId' });
  };
  return {
    'drive.files.list': ({ email, query }) => ({ json: list(world.drives.get(email), email, query), defaultFields: LIST_FIELDS }),
    'drive.files.get': (call) => {
      const file = find(call);
      if (call.query.get('alt') === 'media') return download(file, call.headers.range);
      return { json: resource(file, call.email), defaultFields: FILE_FIELDS };
    },
    // Export has no supportsAllDrives: it takes items of shared drives as they are.
    'drive.files.export': (call) => exportFile(find(call, true), call.query.get('mimeType')),
  };
}

function list({ files, rootId }, email, query) {
  const unknown = NOT_EMULATED.find((name) => query.has(name));
  if (unknown) throw badParameter(unknown, `The emulator does not implement ${unknown}.`);
  if ((query.get('spaces') ?? 'drive') !== 'drive') throw badParameter('spaces', 'The emulator only has the space `drive`.', 'invalid');
  const scope = inCorpus(query);
  const q = query.get('q') ?? '';
  const matches = q.trim() ? fileFilter(q, rootId) : () => true;
  // The root folder itself is no result.
  const found = files.filter((f) => f.id !== rootId && scope(f) && matches(f));
  const orderBy = query.get('orderBy');
  if (orderBy && /\bfullText\b/.test(q)) {
    const message = 'Sorting is not supported for queries with fullText terms. Results are always in descending relevance order.';
    throw new GoogleError(403, message, { reason: 'forbidden', location: 'orderBy' });
  }
  found.sort(orderBy ? order(orderBy) : order('modifiedTime desc'));
  const which = ['q', 'orderBy', 'corpora', 'driveId', 'includeItemsFromAllDrives'].map((name) => query.get(name));
  const { items, next } = page(found, Number(query.get('pageSize') ?? 100), query.get('pageToken'), which);
  return { kind: 'drive#fileList', incompleteSearch: false, nextPageToken: next, files: items.map((f) => resource(f, email)) };
}

/** Which files `corpora`, `driveId` and the two switches for shared drives let in. */
function inCorpus(query) {
  const corpora = query.get('corpora') ?? 'user';
  const driveId = query.get('driveId');
  const shared = query.get('includeItemsFromAllDrives') === 'true';
  if (!['user', 'drive', 'allDrives', 'domain'].includes(corpora)) throw badParameter('corpora', 'Invalid Value', 'invalid');
  if ((corpora === 'drive') !== Boolean(driveId)) throw badParameter('driveId', 'The driveId parameter must be specified if and only if corpora is set to drive.', 'invalid');
  if (shared && query.get('supportsAllDrives') !== 'true') throw badParameter('supportsAllDrives', 'The supportsAllDrives parameter must be true if includeItemsFromAllDrives is true.', 'invalid');
  if ((corpora === 'drive' || corpora === 'allDrives') && !shared) throw badParameter('includeItemsFromAllDrives', `The includeItemsFromAllDrives parameter must be true if corpora is ${corpora}.`, 'invalid');
  if (driveId) return (f) => f.driveId === driveId;
  return (f) => shared || !f.driveId;
}

function order(text) {
  const keys = text.split(',').map((piece) => {
    const [, name, direction] = /^\s*(\w+)(\s+desc)?\s*$/.exec(piece) ?? [];
    if (!SORTS[name]) throw new GoogleError(400, 'Invalid Value', { reason: 'invalid', location: 'orderBy' });
    return { of: SORTS[name], sign: direction ? -1 : 1 };
  });
  keys.push({ of: (f) => f.id, sign: 1 });
  return (a, b) => {
    for (const { of, sign } of keys) if (of(a) !== of(b)) return of(a) < of(b) ? -sign : sign;
    return 0;
  };
}

function resource(file, email) {
  const { id, name, mimeType, description, parents, driveId, content, owner } = file;
  const native = mimeType.startsWith(GOOGLE);
  const person = { kind: 'drive#user', displayName: owner.split('@')[0], me: owner === email, permissionId: subjectOf(owner), emailAddress: owner };
  return {
    kind: 'drive#file',
    id,
    name,
    mimeType,
    description,
    starred: Boolean(file.starred),
    trashed: Boolean(file.trashed),
    explicitlyTrashed: Boolean(file.trashed),
    parents,
    spaces: ['drive'],
    version: '1',
    webViewLink: file.link,
    createdTime: new Date(file.createdTime).toISOString(),
    modifiedTime: new Date(file.modifiedTime).toISOString(),
    driveId,
    teamDriveId: driveId,
    // Items of a shared drive belong to the drive.
    owners: driveId ? undefined : [person],
    lastModifyingUser: person,
    ownedByMe: driveId ? undefined : owner === email,
    shared: Boolean(driveId),
    ...(native ? {} : { originalFilename: name, fullFileExtension: name.split('.').at(-1), fileExtension: name.split('.').at(-1), md5Checksum: createHash('md5').update(content).digest('hex'), headRevisionId: id }),
    size: mimeType === `${GOOGLE}folder` ? undefined : String(native ? 1024 : content.length),
    quotaBytesUsed: String(native ? 0 : content.length),
    capabilities: { canDownload: true, canEdit: true, canListChildren: mimeType === `${GOOGLE}folder` },
  };
}

/** The bytes of a file, or the one range of them that was asked for (RFC 9110 section 14). */
function download({ mimeType, content }, range) {
  if (mimeType.startsWith(GOOGLE)) {
    throw new GoogleError(403, 'Only files with binary content can be downloaded. Use Export with Docs Editors files.', { reason: 'fileNotDownloadable', location: 'alt' });
  }
  const headers = { 'content-type': mimeType, 'accept-ranges': 'bytes' };
  const asked = /^bytes=(\d*)-(\d*)$/.exec(range ?? '');
  if (!asked || (!asked[1] && !asked[2])) return { status: 200, headers, body: content };
  const last = content.length - 1;
  const from = asked[1] ? Number(asked[1]) : Math.max(0, content.length - Number(asked[2]));
  const to = asked[1] && asked[2] ? Math.min(Number(asked[2]), last) : last;
  if (from > to) return { status: 416, headers: { ...headers, 'content-range': `bytes */${content.length}` }, body: Buffer.alloc(0) };
  return { status: 206, headers: { ...headers, 'content-range': `bytes ${from}-${to}/${content.length}` }, body: content.subarray(from, to + 1) };
}
