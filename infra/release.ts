// Releases on an emulator of AWS: `cargo xtask test release`.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { rehearse } from './emulate/release.ts';
import { Report } from './emulate/report.ts';

function set(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`\`${name}\` is not set\n  hint: run \`cargo xtask test release\`, which sets it`);
  return value;
}

const report = new Report();
const directory = mkdtempSync(join(tmpdir(), 'mcp-gateway-release-'));
try {
  await rehearse(report, directory, { ministack: set('MINISTACK_PYTHON'), aws: set('AWS_CLI_PYTHON') }, set('XTASK_BIN'));
} finally {
  rmSync(directory, { recursive: true, force: true });
}
report.end();
