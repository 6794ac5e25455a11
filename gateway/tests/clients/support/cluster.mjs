// Several tasks behind a load balancer, by `cargo xtask cluster`: starts one, waits for what happens, does harm.

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { join, resolve } from 'node:path';
import tls from 'node:tls';

import { start, stop, until } from './processes.mjs';

const here = import.meta.dirname ?? new URL('.', import.meta.url).pathname;
const root = resolve(here, '../../../..');
const built = process.env.XTASK_BIN ?? join(root, 'target/debug/xtask');
const xtask = existsSync(built) ? [built] : ['cargo', 'xtask'];

/** Makes this process trust a certificate authority, as `NODE_EXTRA_CA_CERTS` does for one that has yet to start. */
export function trust(authority) {
  const ca = [...tls.rootCertificates, readFileSync(authority, 'utf8')];
  const { connect } = tls;
  // `fetch` takes no option for it, and looks this function up at each connection.
  tls.connect = (options, ...rest) => connect({ ca, ...options }, ...rest);
}

/**
 * Starts a cluster on free ports and waits until all its tasks are in the rotation.
 *
 * `gateway` is the program to run (default: `GATEWAY_BIN`, else xtask builds one), `env` further variables of every
 * task, `args` further options of `cargo xtask cluster`.
 */
export async function startCluster(options = {}) {
  const {
    tasks = 2, timeScale = 1, replace = false, testTools = false, env = {}, args = [],
    gateway = process.env.GATEWAY_BIN, name = `cluster-${process.pid}`,
  } = options;
  const [program, ...before] = xtask;
  const child = start(program, [
    ...before, 'cluster', '--json', '--until-eof', '--port', '0', '--name', name,
    '--tasks', String(tasks), '--time-scale', String(timeScale),
    ...(replace ? ['--replace'] : []),
    ...(testTools ? ['--test-tools'] : []),
    ...(gateway ? ['--gateway', gateway] : []),
    ...Object.entries(env).flatMap(([variable, value]) => ['--env', `${variable}=${value}`]),
    ...args,
  ], { cwd: root });
  const ready = await until('the cluster', async () => {
    const line = child.printed.find((text) => text.startsWith('{') && JSON.parse(text).ready);
    return line && JSON.parse(line);
  }, [child], options.startTimeout ?? 600_000);
  return new Cluster(child, ready, join(root, '.dev', name));
}

/** A running cluster. */
export class Cluster {
  #child;
  #socket;

  constructor(child, ready, directory) {
    this.#child = child;
    this.#socket = join(directory, 'control.sock');
    this.directory = directory;
    /** Everything that `status()` says, as of the start. */
    this.ready = ready;
    /** The MCP URL, its origin, and the file with the authority that signed for it. */
    this.mcp = ready.url;
    this.sse = `${ready.url}/sse`;
    this.url = ready.origin;
    this.authority = ready.authority;
    /** For `Login` and the control URLs of the emulator. */
    this.google = { url: ready.google, users: ready.users };
    this.timeScale = ready.timeScale;
  }

  /** All events so far: `{ seq, ms, event, task?, service?, code?, signal? }`, oldest first. */
  get events() {
    return this.#child.printed
      .filter((line) => line.startsWith('{"'))
      .map((line) => JSON.parse(line))
      .filter(({ event }) => event);
  }

  /** A mark in the list of events: `waitFor` with it sees only what happens from now on. */
  get now() {
    return this.events.at(-1)?.seq ?? 0;
  }

  /**
   * Waits for an event that has all of `wanted`'s fields, such as `{ event: 'healthy', task: 3 }`.
   * One that happened already counts, unless it is not after `since`.
   */
  waitFor(wanted, { since = 0, timeout = 60_000 } = {}) {
    const fits = (event) => event.seq > since
      && Object.entries(wanted).every(([field, value]) => event[field] === value);
    const what = `event ${JSON.stringify(wanted)}`;
    // The child is no part of the wait: it is not to be killed when an event stays away.
    return until(what, async () => this.events.find(fits), [], timeout).catch((error) => {
      throw new Error(`${error.message}\n${this.events.slice(-30).map((event) => JSON.stringify(event)).join('\n')}`);
    });
  }

  /** The numbers of the tasks that get requests. */
  async healthy() {
    return (await this.status()).tasks.filter(({ target }) => target === 'healthy').map(({ task }) => task);
  }

  /** Everything there is to know: tasks, services, counters of the load balancer. */
  status() { return this.#ask('GET', '/status'); }
  /** SIGKILL. Resolves when the process is gone; the load balancer notices later (event `deregistered`). */
  kill(task) { return this.#ask('POST', `/kill/${task}`); }
  /** SIGTERM before the deregistration. Resolves with `{ task, code, signal }` when the process is gone. */
  stop(task) { return this.#ask('POST', `/stop/${task}`); }
  /** Deregistration, its delay, SIGTERM. Resolves like `stop`. */
  drain(task) { return this.#ask('POST', `/drain/${task}`); }
  /** A deployment. Resolves with `{ new, exits }`. */
  roll() { return this.#ask('POST', '/roll'); }
  /** One more task. Resolves when it is healthy. */
  add() { return this.#ask('POST', '/add'); }
  /** Unplugs a task, or `store`, `kms`, `google`. Root only. */
  cut(part) { return this.#ask('POST', `/cut/${part}`); }
  /** Plugs it in. */
  heal(part) { return this.#ask('POST', `/heal/${part}`); }

  /** The requests that the load balancer has logged: `{ ms, method, path, status, slot, tookMs, ended }`. */
  requests() {
    return readFileSync(join(this.directory, 'haproxy.log'), 'utf8')
      .split('\n')
      .map((line) => /\{.*\}/.exec(line)?.[0])
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  }

  /** The log lines of a task, also of one that is gone. */
  log(task) {
    return readFileSync(join(this.directory, `task-${task}.log`), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
  }

  /** Stops everything. The logs go as well, unless `KEEP_CLUSTER` is set or they are to be read. */
  async down({ keep = Boolean(process.env.KEEP_CLUSTER) } = {}) {
    const ended = await stop(this.#child);
    if (!keep) rmSync(this.directory, { recursive: true, force: true });
    return ended;
  }

  #ask(method, path) {
    return new Promise((resolve, reject) => {
      // `request` and not `fetch`: a verb takes as long as it takes, and the way in is a Unix socket.
      const asked = request({ socketPath: this.#socket, method, path }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk) => { text += chunk; });
        response.on('error', reject);
        response.on('end', () => {
          const answer = JSON.parse(text);
          if (response.statusCode === 200) resolve(answer);
          else reject(new Error(`${method} ${path}: ${answer.error}\n${answer.detail ?? ''}\n${answer.hint ?? ''}`));
        });
      });
      asked.on('error', reject);
      asked.end();
    });
  }
}
