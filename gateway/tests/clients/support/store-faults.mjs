// A proxy in front of DynamoDB, KMS or what plays them, for gateways that run as processes. It counts requests by
// operation, and throttles, delays, hangs or refuses them as it is told:
//
//   curl -s $PROXY/_faults -d '{"throttle": 0.3}'      three requests of ten are throttled
//   curl -s $PROXY/_faults -d '{"latency": 2000}'      every request waits so many milliseconds
//   curl -s $PROXY/_faults -d '{"gone": "refuse"}'     connections are reset; "hang": they are never answered
//   curl -s $PROXY/_faults -d '{}'                     everything is fine again
//   curl -s $PROXY/_counts                             {"GetItem session": 3, "Decrypt": 1}
//
// `node store-faults.mjs TARGET [PORT]` runs it alone, and prints where it listens.

import { Agent, createServer, request } from 'node:http';

/** How the two services say that there were too many requests, by the beginning of `x-amz-target`. */
const THROTTLED = {
  DynamoDB: 'com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException',
  TrentService: 'ThrottlingException',
};

/** Starts a proxy to `target`; `url` is where it listens. */
export async function startStoreFaults(target, port = 0) {
  const proxy = new StoreFaults(new URL(target));
  await proxy.listen(port);
  return proxy;
}

export class StoreFaults {
  /** Requests by operation, and row type where there is one. */
  counts = {};
  #faults = {};
  #target;
  #server;
  #agent = new Agent({ keepAlive: true, maxSockets: 64 });

  constructor(target) {
    this.#target = target;
    this.#server = createServer((incoming, outgoing) => this.#serve(incoming, outgoing));
  }

  async listen(port) {
    await new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', resolve);
    });
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** Replaces the faults in force: `{ throttle: 0..1, latency: ms, gone: 'refuse' | 'hang' }`. */
  set(faults) {
    this.#faults = faults;
    // Idle connections would not notice.
    if (faults.gone === 'refuse') this.#server.closeIdleConnections();
  }

  /** How many requests so far, of those that `wanted` names or of all. */
  total(wanted = () => true) {
    return Object.entries(this.counts).reduce((sum, [name, count]) => sum + (wanted(name) ? count : 0), 0);
  }

  async stop() {
    this.#agent.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(incoming, outgoing) {
    const chunks = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    if (incoming.url.startsWith('/_')) return this.#control(incoming, body, outgoing);
    const name = operation(incoming.headers['x-amz-target'] ?? '', body);
    this.counts[name] = (this.counts[name] ?? 0) + 1;
    const { gone, latency, throttle } = this.#faults;
    if (gone === 'refuse') return incoming.socket.destroy();
    if (gone === 'hang') return undefined;
    if (latency) await new Promise((resolve) => setTimeout(resolve, latency));
    if (throttle && Math.random() < throttle) return refuse(incoming, outgoing);
    return this.#forward(incoming, body, outgoing);
  }

  #control(incoming, body, outgoing) {
    if (incoming.method === 'POST') this.set(JSON.parse(body.toString() || '{}'));
    outgoing.setHeader('content-type', 'application/json');
    outgoing.end(JSON.stringify(incoming.url === '/_counts' ? this.counts : this.#faults));
  }

  #forward(incoming, body, outgoing) {
    const { hostname, port } = this.#target;
    const options = {
      agent: this.#agent, hostname, port, method: incoming.method, path: incoming.url, headers: incoming.headers,
    };
    const upstream = request(options, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      answer.pipe(outgoing);
    });
    upstream.on('error', () => outgoing.destroy());
    upstream.end(body);
  }
}

/** `GetItem session` for a row, `Decrypt` for a key. */
function operation(target, body) {
  const [, name = 'other'] = target.split('.');
  let parsed = {};
  try {
    parsed = JSON.parse(body.toString());
  } catch {
    // Counted by its target alone.
  }
  const pk = parsed.Key?.pk?.S ?? parsed.Item?.pk?.S;
  return pk ? `${name} ${pk.split('#')[0]}` : name;
}

function refuse(incoming, outgoing) {
  const service = Object.keys(THROTTLED).find((prefix) => incoming.headers['x-amz-target']?.startsWith(prefix));
  outgoing.writeHead(400, { 'content-type': 'application/x-amz-json-1.0' });
  outgoing.end(JSON.stringify({ __type: THROTTLED[service] ?? 'ThrottlingException', message: 'too many requests' }));
}

if (process.argv[1] === import.meta.filename) {
  const [, , target, port] = process.argv;
  if (!target) {
    console.error('usage: node store-faults.mjs TARGET [PORT]');
    process.exit(2);
  }
  console.log((await startStoreFaults(target, Number(port ?? 0))).url);
}
