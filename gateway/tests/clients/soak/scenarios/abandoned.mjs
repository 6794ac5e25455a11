// Clients that start a session and never come back, by the thousand.

import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { openAgent } from '../../support/agents.mjs';
import { Connection, startSession } from '../../support/raw.mjs';
import { Findings } from '../figures.mjs';

/** Connections that start sessions at one time. */
const CONNECTIONS = 50;
/** Waves. The caches fill up in the first ones. */
const WAVES = 6;
/** What a session of the last waves may leave behind: nothing but the noise of an allocator. */
const BYTES_EACH = 64;

export default {
  name: 'sessions that nobody comes back to',
  proves: 'S7 T44',
  required: 'waves of sessions that are abandoned after `initialize`: the last ones add no memory, no descriptor and no connection',
  tasks: 1,
  short: { wave: 6_000 },
  real: { wave: 25_000 },
  async run(stage, { wave }) {
    const findings = new Findings();
    const [task] = stage.tasks;
    await (await openAgent('SDK 1.32.2, Streamable HTTP', stage.mcp, stage.login())).close();
    const { access_token: token } = stage.login().tokens();
    const size = async () => {
      // Rows are written in the background.
      await sleep(3_000);
      // Without the pages of the binary, which come and go as the kernel likes.
      const resident = Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${task.pid}/status`, 'utf8'))[1]);
      const { activeConnections } = await (await fetch(`${task.url}/health`)).json();
      return { resident, descriptors: readdirSync(`/proc/${task.pid}/fd`).length, activeConnections };
    };
    const sizes = [];
    for (let count = 0; count < WAVES; count += 1) {
      await abandon(task, token, wave);
      sizes.push(await size());
    }
    const before = sizes[2];
    const after = sizes.at(-1);
    // An allocator gives back late, so the smallest of the last waves counts.
    const least = Math.min(...sizes.slice(3).map(({ resident }) => resident));
    const each = (least - before.resident) * 1_024 / wave;
    findings.measured.push(`${WAVES} waves of ${wave} sessions: ${sizes.map(({ resident }) => `${(resident / 1_024).toFixed(1)} MiB`).join(', ')}`);
    findings.check(`${Math.round(each)} bytes more after the later waves, for each session of one`, each <= BYTES_EACH);
    findings.check(`${before.descriptors} descriptors, then ${after.descriptors}`, after.descriptors <= before.descriptors + 5);
    findings.check(`${before.activeConnections} connections, then ${after.activeConnections}`, after.activeConnections <= before.activeConnections + 2);
    return findings;
  },
};

async function abandon(task, token, count) {
  await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
    const connection = new Connection(task);
    for (let index = 0; index < count / CONNECTIONS; index += 1) await startSession(connection, token);
    connection.close();
  }));
}
