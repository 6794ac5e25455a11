// Everything that is checked about the infrastructure: `cargo xtask test infra`.
//
// xtask provides Node packages, Python tools and, where it may, a Docker daemon; it names them in the environment.

import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { ENVIRONMENTS } from './config/index.ts';
import { Report } from './emulate/report.ts';
import { runEmulators } from './emulate/run.ts';

const ROOT = fileURLToPath(new URL('.', import.meta.url));
/** Of processor time, because how long it takes also depends on what else runs; alone it takes a third of it. */
const SYNTH_SECONDS = 30;

/** Long arguments of a program, and what it printed. */
async function run(program: string, parameters: string[], variables: Record<string, string> = {}): Promise<string> {
  const options = { cwd: ROOT, env: { ...process.env, ...variables }, maxBuffer: 64 * 1024 * 1024 };
  try {
    const { stdout } = await promisify(execFile)(program, parameters, options);
    return stdout;
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as { stdout?: string; stderr?: string; message: string };
    throw new Error(`${stdout}${stderr}`.trim() || message);
  }
}

const node = (script: string, ...parameters: string[]) => run(process.execPath, [join(ROOT, 'node_modules', script), ...parameters]);

/** A tool of a Python environment that xtask made. */
function tool(variable: string, name: string): string {
  const python = process.env[variable];
  if (!python) throw new Error(`\`${variable}\` is not set\n  hint: run \`cargo xtask test infra\`, which installs it`);
  return name === 'python' ? python : join(python, '..', name);
}

/** The tests print a table of mutations; it is kept whole in the output. */
async function tests(report: Report, directory: string): Promise<string> {
  const results = join(directory, 'vitest.json');
  const output = await run(process.execPath, [
    join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--reporter=json', `--outputFile=${results}`, '--silent=false',
  ]).catch((error: unknown) => String(error instanceof Error ? error.message : error));
  process.stdout.write(`${output.trimEnd()}\n`);
  const read = JSON.parse(readFileSync(results, 'utf8')) as {
    numPassedTests: number;
    numFailedTests: number;
    testResults: { assertionResults: { status: string; fullName: string; failureMessages: string[] }[] }[];
  };
  report.add(read.numPassedTests, read.numFailedTests);
  const failures = read.testResults.flatMap(({ assertionResults }) => assertionResults.filter(({ status }) => status === 'failed'));
  return failures.map(({ fullName, failureMessages }) => `${fullName}\n${failureMessages[0]?.split('\n').slice(0, 12).join('\n') ?? ''}`).join('\n');
}

/** By the CLI, with the rules that refuse, without credentials and without a way out. */
async function synth(assembly: string): Promise<string> {
  const closed = { HTTPS_PROXY: 'http://127.0.0.1:9', HTTP_PROXY: 'http://127.0.0.1:9', AWS_EC2_METADATA_DISABLED: 'true', CDK_DISABLE_CLI_TELEMETRY: '1' };
  const cdk = [join(ROOT, 'node_modules/aws-cdk/bin/cdk'), '--no-notices', 'synth', '--quiet', '--output', assembly];
  const times = await run('sh', ['-c', '"$@" >&2 && times', 'sh', process.execPath, ...cdk], closed);
  const missing = Object.keys(ENVIRONMENTS).filter((name) => !readdirSync(join(assembly, `assembly-${name}`)).includes('declared.json'));
  if (missing.length > 0) return `no declared.json for ${missing.join(', ')}`;
  const seconds = processorSeconds(times);
  process.stdout.write(`      synth took ${seconds.toFixed(1)} s of processor time\n`);
  return seconds < SYNTH_SECONDS ? '' : 'that is too long for somebody who waits';
}

/** What `times` of the shell says of children, on its second line: `0m6.43s 0m0.79s`. */
function processorSeconds(times: string): number {
  const spent = times.trim().split('\n').at(-1)?.match(/[\d.]+(?=[ms])/g)?.map(Number) ?? [];
  const [userMinutes = NaN, user = NaN, systemMinutes = NaN, system = NaN] = spent;
  return (userMinutes + systemMinutes) * 60 + user + system;
}

const templates = (assembly: string) =>
  Object.keys(ENVIRONMENTS).flatMap((name) => {
    const directory = join(assembly, `assembly-${name}`);
    return readdirSync(directory).filter((file) => file.endsWith('.template.json')).map((file) => join(directory, file));
  });

/** No account but that of examples, and no look-up that would need one. */
function accounts(assembly: string): string {
  const ids = templates(assembly).flatMap((path) => readFileSync(path, 'utf8').match(/(?<![\d.a-fA-F-])\d{12}(?![\d.a-fA-F-])/g) ?? []);
  const strangers = [...new Set(ids)].filter((id) => id !== '123456789012' && id !== '100000000000');
  const lookups = Object.keys(ENVIRONMENTS).filter((name) => readFileSync(join(assembly, `assembly-${name}`, 'manifest.json'), 'utf8').includes('"missing"'));
  return [...strangers.map((id) => `the account ${id} is in a template`), ...lookups.map((name) => `${name} looks something up`)].join('\n');
}

/** What does not need an emulator. */
async function staticChecks(report: Report, directory: string): Promise<void> {
  const assembly = join(directory, 'assembly');
  const typed = report.step('types', async () => (await node('typescript/bin/tsc', '--project', 'tsconfig.check.json'), ''));
  const tested = report.step('tests', () => tests(report, directory));
  if (await report.step(`cdk synth of ${Object.keys(ENVIRONMENTS).join(', ')}, offline, with the rules that refuse`, () => synth(assembly))) {
    await report.step('no account id, no look-up', async () => accounts(assembly));
    await report.step('cfn-lint', async () => (await run(tool('CFN_LINT_PYTHON', 'cfn-lint'), ['--', ...templates(assembly)]), ''));
    await report.step('checkov', async () => {
      const settings = ['--config-file', join(ROOT, '.checkov.yaml'), '--skip-download', '--file', ...templates(assembly)];
      await run(tool('CHECKOV_PYTHON', 'checkov'), settings, { BC_SKIP_MAPPING: 'TRUE' });
      return '';
    });
  }
  await Promise.all([typed, tested]);
}

/** Everything that runs on emulators; they wait more than they work, so the rest runs meanwhile. */
async function emulators(report: Report, directory: string): Promise<void> {
  await report.step('emulators start and stop', async () => {
    await runEmulators(report, join(directory, 'emulators'), { ministack: tool('MINISTACK_PYTHON', 'python'), moto: tool('MOTO_PYTHON', 'python') });
    return '';
  });
}

const report = new Report();
const directory = mkdtempSync(join(tmpdir(), 'mcp-gateway-infra-'));
// What the tests put aside is gone with it.
process.env['TMPDIR'] = directory;
try {
  await Promise.all([emulators(report, directory), staticChecks(report, directory)]);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
report.end();
