// Reads a mail (RFC 5322, MIME) into the part tree that Gmail's API shows.

/** Parses a mail: {headers, mimeType, charset, filename, content, parts}, `content` decoded from its transfer encoding. */
export function parseMail(raw) {
  return parsePart(raw.toString('latin1'));
}

// One char is one byte here (latin1), so that binary parts survive.
function parsePart(source) {
  const split = /\r?\n\r?\n/.exec(source);
  const head = split ? source.slice(0, split.index) : source;
  const body = split ? source.slice(split.index + split[0].length) : '';
  const headers = head.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/).filter(Boolean).map((line) => {
    const colon = line.indexOf(':');
    return { name: line.slice(0, colon), value: decodeWords(line.slice(colon + 1).trim()) };
  });
  const type = parameters(header(headers, 'Content-Type') ?? 'text/plain; charset=us-ascii');
  const disposition = parameters(header(headers, 'Content-Disposition') ?? '');
  const part = {
    headers,
    mimeType: type.value.toLowerCase(),
    charset: type.charset ?? 'utf-8',
    filename: disposition.filename ?? type.name ?? '',
    content: Buffer.alloc(0),
    parts: [],
  };
  if (part.mimeType.startsWith('multipart/')) part.parts = pieces(body, type.boundary).map(parsePart);
  else part.content = decodeTransfer(body, header(headers, 'Content-Transfer-Encoding'));
  return part;
}

/** The first header of this name, or undefined. */
export function header(headers, name) {
  return headers.find((h) => h.name.toLowerCase() === name.toLowerCase())?.value;
}

function parameters(text) {
  const [value, ...rest] = text.split(';').map((piece) => piece.trim());
  const found = rest.map((piece) => /^([^=]+)=\s*"?(.*?)"?$/.exec(piece)).filter(Boolean);
  return { value, ...Object.fromEntries(found.map(([, name, v]) => [name.toLowerCase(), v])) };
}

function pieces(body, boundary) {
  return `\n${body}`.split(`\n--${boundary}`).slice(1).filter((piece) => !piece.startsWith('--')).map((piece) => piece.replace(/^\r?\n/, '').replace(/\r$/, ''));
}

function decodeTransfer(body, encoding = '7bit') {
  if (encoding.toLowerCase() === 'base64') return Buffer.from(body, 'base64');
  if (encoding.toLowerCase() === 'quoted-printable') return Buffer.from(unquote(body.replace(/=\r?\n/g, '')), 'latin1');
  return Buffer.from(body, 'latin1');
}

const unquote = (text) => text.replace(/=([0-9A-F]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));

/** RFC 2047 words in a header. Gmail's API shows headers decoded. */
function decodeWords(value) {
  const joined = value.replace(/\?=\s+=\?/g, '?==?');
  const decoded = joined.replace(/=\?([^?]+)\?([BQ])\?([^?]*)\?=/gi, (_, charset, kind, text) => {
    const bytes = kind.toUpperCase() === 'B' ? Buffer.from(text, 'base64') : Buffer.from(unquote(text.replaceAll('_', ' ')), 'latin1');
    return new TextDecoder(charset).decode(bytes);
  });
  return decoded === joined ? Buffer.from(value, 'latin1').toString() : decoded;
}

/** The text of a part, whatever its charset. */
export function textOf(part) {
  return new TextDecoder(part.charset).decode(part.content);
}

/** Every part of the tree, the root first. */
export function* walk(part) {
  yield part;
  for (const child of part.parts) yield* walk(child);
}
