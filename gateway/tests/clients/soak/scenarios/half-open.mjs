// A client is gone and nobody says so.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { start } from '../../support/processes.mjs';
import { Findings } from '../figures.mjs';

const script = fileURLToPath(new URL('../half-open.mjs', import.meta.url));
const NAMESPACE = ['--user', '--map-root-user', '--net'];

export default {
  name: 'a client that vanished',
  proves: 'S5',
  required: 'a half-open client is removed within 60 s, in real time; the others do not notice',
  parallel: true,
  alone: true,
  short: {},
  real: {},
  /** Why it cannot run on this machine, if it cannot. */
  lacks: () => (spawnSync('unshare', [...NAMESPACE, 'ip', 'link']).status === 0
    ? undefined : 'a network of its own for a process (`unshare --user --net`, `ip`)'),
  async run() {
    const findings = new Findings();
    const child = start('unshare', [...NAMESPACE, process.execPath, script]);
    await child.exited;
    const line = child.printed.findLast((text) => text.startsWith('{'));
    if (!line) throw new Error(child.output.slice(-20).join('\n'));
    const { removed, ms, reason, before, after, others } = JSON.parse(line);
    findings.check(`removed after ${(ms / 1_000).toFixed(1)} s, reason \`${reason}\``, removed === 1 && ms <= 60_000);
    findings.check(`${before} connections before, ${after} after`, after === before - 1);
    findings.check('another stream of the same session lives', others[0] === undefined || others[0] === null);
    return findings;
  },
};
