// Tells where HTTP/1.1 responses begin and end on a connection, without understanding more of them.

const CRLF2 = Buffer.from('\r\n\r\n');

function parseHead(bytes) {
  const [status, ...lines] = bytes.toString('latin1').trimEnd().split('\r\n');
  const headers = {};
  for (const line of lines) {
    const at = line.indexOf(':');
    headers[line.slice(0, at).toLowerCase()] = line.slice(at + 1).trim();
  }
  return { status: Number(status.split(' ')[1]), headers };
}

/** Follows one connection; `request` hears what goes to the server, `read` what comes back. */
export class Responses {
  #heads = [];
  #state = 'head';
  #pending = Buffer.alloc(0);
  #left = 0;

  /** A request that begins with HEAD has a response without a body. Nobody here sends requests ahead. */
  request(chunk) {
    this.#heads.push(chunk.subarray(0, 5).toString('latin1') === 'HEAD ');
  }

  /** Splits `chunk` into `{ data, head?, end }`: pieces in order, the last piece of a response marked. */
  * read(chunk) {
    let rest = chunk;
    while (rest.length > 0) {
      const step = this.#state === 'head' ? this.#readHead(rest) : this.#readBody(rest);
      rest = rest.subarray(step.data.length);
      if (step.end) {
        this.#state = 'head';
        this.#heads = [];
      }
      yield step;
    }
  }

  #readHead(chunk) {
    const before = this.#pending.length;
    const all = Buffer.concat([this.#pending, chunk]);
    const at = all.indexOf(CRLF2);
    if (at < 0) {
      this.#pending = all;
      return { data: chunk, end: false };
    }
    this.#pending = Buffer.alloc(0);
    const head = parseHead(all.subarray(0, at));
    const data = chunk.subarray(0, at + CRLF2.length - before);
    return { data, head, end: this.#begin(head) };
  }

  /** Sets the state for the body of `head`; true: it has none. */
  #begin({ status, headers }) {
    if (status < 200 || status === 204 || status === 304 || this.#heads[0]) return true;
    if (/chunked/i.test(headers['transfer-encoding'] ?? '')) {
      this.#state = 'size';
    } else if ('content-length' in headers) {
      this.#state = 'counted';
      this.#left = Number(headers['content-length']);
      return this.#left === 0;
    } else {
      this.#state = 'until close';
    }
    return false;
  }

  #readBody(chunk) {
    switch (this.#state) {
      case 'until close':
        return { data: chunk, end: false };
      case 'counted':
      case 'data': {
        const data = chunk.subarray(0, this.#left);
        this.#left -= data.length;
        const over = this.#left === 0;
        if (over && this.#state === 'data') this.#state = 'size';
        return { data, end: over && this.#state === 'counted' };
      }
      default:
        return this.#readLine(chunk);
    }
  }

  /** The size line of a chunk, or a line after the last one. */
  #readLine(chunk) {
    const at = chunk.indexOf(0x0a);
    const data = at < 0 ? chunk : chunk.subarray(0, at + 1);
    this.#pending = Buffer.concat([this.#pending, data]);
    if (at < 0) return { data, end: false };
    const line = this.#pending.toString('latin1').trim();
    this.#pending = Buffer.alloc(0);
    if (this.#state === 'trailer') return { data, end: line === '' };
    const size = Number.parseInt(line, 16);
    this.#state = size === 0 ? 'trailer' : 'data';
    // The line break after the data belongs to the chunk.
    this.#left = size + 2;
    return { data, end: false };
  }
}
