// The plain CDK CLI, pointed at an emulator by its environment.

import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CLI = fileURLToPath(new URL('../node_modules/aws-cdk/bin/cdk', import.meta.url));

/** Runs `cdk` with arguments and returns what it printed. */
export async function cdk(variables: Record<string, string>, ...parameters: string[]): Promise<string> {
  const options = {
    cwd: ROOT,
    env: { ...process.env, ...variables, CDK_DISABLE_CLI_TELEMETRY: '1', NO_COLOR: '1', CI: 'true' },
    maxBuffer: 64 * 1024 * 1024,
    timeout: 180_000,
  };
  const run = promisify(execFile)(process.execPath, [CLI, '--no-notices', '--no-color', ...parameters], options);
  const { stdout, stderr } = await run.catch((error: { stdout?: string; stderr?: string; message: string }) => {
    const text = `${error.stdout ?? ''}${error.stderr ?? ''}`.trim() || error.message;
    throw new Error(`cdk ${parameters.join(' ')}\n${text.split('\n').slice(-15).join('\n')}`);
  });
  return stdout + stderr;
}

/** A directory for a run. */
export function directory(path: string): string {
  mkdirSync(path, { recursive: true });
  return path;
}
