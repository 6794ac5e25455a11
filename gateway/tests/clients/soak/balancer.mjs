// HAProxy in the part of the load balancer: round-robin over the tasks, health checks, an idle timeout, no cookie.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { start, stop, until } from '../support/processes.mjs';

/** Targets at one time, those that drain included. */
const SLOTS = 16;

function configuration({ port, socket, idleMs, checkMs }) {
  return `
global
  stats socket "${socket}" mode 600 level admin
defaults
  mode http
  option http-no-delay
  timeout connect 10s
  timeout client ${idleMs}ms
  timeout server ${idleMs}ms
  timeout http-keep-alive ${idleMs}ms
  retries 0
frontend public
  bind 127.0.0.1:${port}
  option forwardfor
  default_backend tasks
backend tasks
  balance roundrobin
  http-reuse always
  option httpchk
  http-check send meth GET uri /health ver HTTP/1.1 hdr Host target
  http-check expect status 200
  timeout check 10s
  default-server check inter ${checkMs}ms rise 2 fall 3 init-addr none pool-purge-delay ${idleMs}ms
  server-template task 1-${SLOTS} 127.0.0.1:9 disabled
`;
}

/** Starts HAProxy on `port`. */
export async function startBalancer({ port, idleMs, checkMs }) {
  const directory = await mkdtemp(join(tmpdir(), 'balancer-'));
  const socket = join(directory, 'stats');
  const file = join(directory, 'haproxy.cfg');
  await writeFile(file, configuration({ port, socket, idleMs, checkMs }));
  const child = start(process.env.HAPROXY ?? 'haproxy', ['-db', '-f', file]);
  const say = (command) => new Promise((resolve, reject) => {
    let answer = '';
    const line = connect(socket, () => line.end(`${command}\n`));
    line.on('data', (chunk) => { answer += chunk; });
    line.on('end', () => resolve(answer.trim()));
    line.on('error', reject);
  });
  await until('HAProxy', () => say('show info'), [child]);
  const table = async () => {
    const [names, ...rows] = (await say('show stat')).replace(/^# /, '').split('\n').map((row) => row.split(','));
    return rows.filter(([proxy]) => proxy === 'tasks').map((row) => Object.fromEntries(names.map((name, at) => [name, row[at]])));
  };
  const free = Array.from({ length: SLOTS }, (_, index) => `tasks/task${index + 1}`);
  return {
    /** Makes a healthy task a target; returns its slot. */
    async register(taskPort) {
      const slot = free.shift();
      for (const command of [`addr 127.0.0.1 port ${taskPort}`, 'state ready', 'health up']) {
        const answer = await say(`set server ${slot} ${command}`);
        if (/unknown|error|invalid/i.test(answer)) throw new Error(`HAProxy: ${command}: ${answer}`);
      }
      return slot;
    },
    /** New requests go elsewhere from now on; what is open goes on. */
    async deregister(slot) {
      await say(`set server ${slot} state maint`);
    },
    /** Makes a task a target again. */
    async restore(slot) {
      await say(`set server ${slot} state ready`);
      await say(`set server ${slot} health up`);
    },
    /** Cuts what is still open to a task that is gone, and gives its slot back. */
    async release(slot) {
      await say(`shutdown sessions server ${slot}`);
      free.push(slot);
    },
    /** Answers by status class since the start. */
    async statistics() {
      const all = (await table()).find(({ svname }) => svname === 'BACKEND');
      return { ok: Number(all.hrsp_2xx), clientErrors: Number(all.hrsp_4xx), serverErrors: Number(all.hrsp_5xx) };
    },
    /** How many requests each target of now got. */
    async served() {
      const targets = (await table()).filter(({ svname, status }) => svname !== 'BACKEND' && !status.startsWith('MAINT'));
      return targets.map(({ hrsp_2xx: served }) => Number(served));
    },
    async stop() {
      await stop(child);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
