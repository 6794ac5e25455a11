// Two or more tasks behind a load balancer, over one store, with every interval at one scale.

import { setTimeout as sleep } from 'node:timers/promises';

import { KINDS } from '../support/agents.mjs';
import { Login } from '../support/login.mjs';
import { freePort, start, stop, until } from '../support/processes.mjs';
import { startGoogle } from '../support/stack.mjs';
import { startAws } from './aws.mjs';
import { startBalancer } from './balancer.mjs';
import { startStoreLine } from './store-line.mjs';

const gatewayBin = process.env.GATEWAY_BIN;
/** Values of the design, before scaling. */
const IDLE_MS = 300_000;
const CHECK_MS = 15_000;
/** ECS notices at once that a container is gone and takes it out of the target group. */
const KILL_NOTICED_MS = 250;

/** Starts everything. `env` goes to every task; `scale` is the pace of time; `kinds` are the clients that come. */
export async function startStage({ tasks = 2, scale = 1, env = {}, kinds = Object.keys(KINDS) } = {}) {
  const stage = new Stage(scale, kinds);
  try {
    await stage.start(env);
    for (let count = 0; count < tasks; count += 1) await stage.addTask();
    return stage;
  } catch (error) {
    await stage.stop();
    throw error;
  }
}

class Stage {
  tasks = [];
  /** Tasks that are gone, with how they ended. */
  gone = [];
  #stops = [];
  #logins = new Map();

  constructor(scale, kinds) {
    this.scale = scale;
    this.kinds = kinds;
  }

  /** A duration of the design at the pace of this stage. */
  ms(designed) { return designed * this.scale; }

  async start(env) {
    const keep = (part, end = () => part.stop()) => {
      this.#stops.unshift(end);
      return part;
    };
    this.google = keep(await startGoogle(), () => stop(this.google.child));
    this.aws = keep(await startAws());
    this.store = keep(await startStoreLine(this.aws.port));
    this.port = await freePort();
    this.balancer = keep(await startBalancer({
      port: this.port, idleMs: this.ms(IDLE_MS), checkMs: Math.max(500, this.ms(CHECK_MS)),
    }));
    this.url = `http://127.0.0.1:${this.port}`;
    this.mcp = `${this.url}/mcp`;
    this.env = {
      PATH: process.env.PATH,
      HOST: '127.0.0.1',
      PUBLIC_URL: this.url,
      SESSION_SECRET: 'b2f81d0c97e64a35a1c0d87e6f2b94c3',
      GOOGLE_CLIENT_ID: this.google.clientId,
      GOOGLE_CLIENT_SECRET: this.google.clientSecret,
      GOOGLE_ISSUER: this.google.url,
      GOOGLE_API_BASE_URL: this.google.url,
      ALLOWED_DOMAIN: 'example.com',
      LOG_LEVEL: 'debug',
      TEST_TOOLS: '1',
      ...(this.scale !== 1 && { TIME_SCALE: String(this.scale) }),
      ...this.aws.env,
      DYNAMODB_ENDPOINT: this.store.url,
      KMS_ENDPOINT: this.store.url,
      ...env,
    };
  }

  /** Starts a task and makes it a target once it is ready. */
  async addTask() {
    const [port, peerPort] = [await freePort(), await freePort()];
    const url = `http://127.0.0.1:${port}`;
    const child = start(gatewayBin, ['serve'], {
      env: { ...this.env, PORT: String(port), PEER_PORT: String(peerPort), ALLOWED_HOSTS: `127.0.0.1:${port}` },
    });
    // The store is ready, too, when the task can say that it does not know this client.
    await until('a task', async () => (await fetch(`${url}/oauth/authorize?client_id=nobody`)).status === 400, [child], 60_000);
    const task = { port, url, child, pid: child.pid, startedAt: Date.now() };
    task.slot = await this.balancer.register(port);
    this.tasks.push(task);
    return task;
  }

  /** `kill -9`. The load balancer hears of it a moment later, as from ECS; resolves with the times of both. */
  async kill(task) {
    const killed = Date.now();
    task.child.kill('SIGKILL');
    await task.child.exited;
    await sleep(KILL_NOTICED_MS);
    await this.#takeOut(task);
    return { killed, noticed: Date.now() };
  }

  /** Stops a task as ECS does in a deployment: out of the target group, then SIGTERM; resolves with how it ended. */
  async drain(task) {
    await this.balancer.deregister(task.slot);
    const began = Date.now();
    task.child.kill('SIGTERM');
    const ended = await task.child.exited;
    task.ended = { ...ended, ms: Date.now() - began };
    await this.#takeOut(task);
    return task.ended;
  }

  /** The task in whose log a line has this text. */
  async taskThatLogged(text) {
    return until(`\`${text}\` in a log`, async () =>
      this.tasks.find(({ child }) => child.output.some((line) => line.includes(text))));
  }

  /** Makes every new request go to other tasks while `action` runs. */
  async without(task, action) {
    await this.balancer.deregister(task.slot);
    try {
      return await action();
    } finally {
      await this.balancer.restore(task.slot);
    }
  }

  /** A rolling deployment: for each task a new one, then the old one drains. Resolves with how the old ones ended. */
  async roll() {
    const ends = [];
    for (const task of [...this.tasks]) {
      await this.addTask();
      ends.push(await this.drain(task));
    }
    return ends;
  }

  async #takeOut(task) {
    await this.balancer.deregister(task.slot);
    await this.balancer.release(task.slot);
    this.tasks = this.tasks.filter((other) => other !== task);
    this.gone.push(task);
  }

  /** The login of a person, shared by all clients of that person. */
  login(name = 'ana') {
    const known = this.#logins.get(name) ?? new Login(`${name}@example.com`);
    this.#logins.set(name, known);
    return known;
  }

  /** Log lines with this message of all tasks that ever were, as objects. */
  logged(text) {
    const outputs = [...this.gone, ...this.tasks].flatMap(({ child }) => child.output);
    return outputs.filter((line) => line.includes(text)).map((line) => JSON.parse(line));
  }

  async stop() {
    // As from a terminal: no load balancer has to notice first.
    await Promise.all(this.tasks.map(({ child }) => stop(child, 'SIGINT')));
    for (const end of this.#stops) await end();
  }
}
