// A TCP proxy on loopback with a rule per connection: what every rig is made of.
//
// A rule decides what becomes of bytes (`up`, from the client, and `down`, from the server), and may end the
// connection as a network would. Without a rule everything passes.

import { connect, createServer } from 'node:net';

/** One client's connection and the one to the server behind it. */
class Link {
  #rig;
  #timers = new Set();
  frozen = false;
  /** The two sides know nothing of each other any more. */
  severed = false;
  /** Sockets that the rule does not read from now. */
  held = new Set();
  /** What is done with bytes and with a FIN; everything passes unless the rig says otherwise. */
  rule = {
    up: (chunk) => this.toServer(chunk),
    down: (chunk) => this.toClient(chunk),
    ended: (from) => this.other(from).end(),
  };

  constructor(rig, client, server) {
    this.#rig = rig;
    this.client = client;
    this.server = server;
    for (const socket of [client, server]) socket.setNoDelay(true);
    client.on('data', (chunk) => {
      rig.counts.bytesUp += chunk.length;
      this.rule.up(chunk);
    });
    server.on('data', (chunk) => {
      rig.counts.bytesDown += chunk.length;
      this.rule.down(chunk);
    });
    this.#tie(client, server);
    this.#tie(server, client);
  }

  /** The end of one side is told to the other in the same words: FIN after FIN, RST after RST. */
  #tie(from, to) {
    from.on('end', () => this.rule.ended(from));
    from.on('error', () => {
      from.failed = true;
    });
    from.on('close', () => {
      if (from.failed && !this.severed) to.resetAndDestroy();
      else if (!this.severed) to.end();
      if (this.client.destroyed && this.server.destroyed) this.#over();
    });
  }

  #over() {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#rig.links.delete(this);
  }

  other(socket) {
    return socket === this.client ? this.server : this.client;
  }

  toServer(chunk) {
    this.#pass(chunk, this.client, this.server);
  }

  toClient(chunk) {
    this.#pass(chunk, this.server, this.client);
  }

  #pass(chunk, from, to) {
    if (to.destroyed || to.writableEnded || to.write(chunk)) return;
    from.pause();
    to.once('drain', () => this.frozen || this.held.has(from) || from.resume());
  }

  /** Calls `action` after `ms` unless the link is over by then; the timer's `refresh` starts anew. */
  after(ms, action) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, ms);
    this.#timers.add(timer);
    return timer;
  }

  /** FIN to both sides, now. */
  cut() {
    for (const socket of [this.client, this.server]) socket.end().destroySoon();
  }

  /** RST to both sides, now. */
  reset() {
    this.severed = true;
    for (const socket of [this.client, this.server]) socket.resetAndDestroy();
  }

  /** Nothing passes any more, and neither side is told. */
  freeze() {
    this.frozen = true;
    for (const socket of [this.client, this.server]) socket.pause();
  }

  thaw() {
    this.frozen = false;
    for (const socket of [this.client, this.server]) socket.resume();
  }
}

/** A running rig. `counts` says what it did so far. */
class Rig {
  counts = {
    accepted: 0, unreachable: 0, refused: 0, bytesUp: 0, bytesDown: 0, cut: 0, reset: 0, frozen: 0,
  };
  /** Connections that are open now. */
  links = new Set();
  /** Refuses new connections with RST while true. */
  closed = false;

  #each(verb, count) {
    const links = [...this.links];
    for (const link of links) link[verb]();
    this.counts[count] += links.length;
    return links.length;
  }

  /** Ends every connection with FIN to both sides; returns how many. */
  cut() { return this.#each('cut', 'cut'); }

  /** Ends every connection with RST to both sides; returns how many. */
  reset() { return this.#each('reset', 'reset'); }

  /** Makes every connection of now half-open: nothing passes, nobody is told. New ones work. */
  freeze() { return this.#each('freeze', 'frozen'); }

  /** Lets pass what `freeze` held back. */
  thaw() { for (const link of this.links) link.thaw(); }
}

/**
 * Starts a proxy in front of `target` (`{ port, host? }`, may change later through `rig.target`).
 * `makeRule(link, rig)` gives the rule of a new connection, or nothing.
 */
export async function startProxy(target, makeRule = () => undefined, counts = {}) {
  const rig = new Rig();
  Object.assign(rig.counts, counts);
  rig.target = target;
  const server = createServer({ allowHalfOpen: true }, (client) => {
    if (rig.closed) {
      rig.counts.refused += 1;
      client.resetAndDestroy();
      return;
    }
    rig.counts.accepted += 1;
    const { host = '127.0.0.1', port } = rig.target;
    const behind = connect({ host, port, allowHalfOpen: true });
    behind.once('error', (error) => {
      if (error.syscall === 'connect') rig.counts.unreachable += 1;
    });
    const link = new Link(rig, client, behind);
    rig.links.add(link);
    link.rule = { ...link.rule, ...makeRule(link, rig) };
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  rig.host = '127.0.0.1';
  rig.port = server.address().port;
  rig.url = `http://${rig.host}:${rig.port}`;
  rig.stop = () => {
    for (const link of rig.links) link.reset();
    return new Promise((resolve) => server.close(resolve));
  };
  return rig;
}
