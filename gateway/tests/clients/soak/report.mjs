// The report of a run, in Markdown.

import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';

const version = async (name) =>
  JSON.parse(await readFile(new URL(`../node_modules/${name}/package.json`, import.meta.url), 'utf8')).version;

const firstLine = (command, ...args) => execFileSync(command, args, { encoding: 'utf8' }).split('\n')[0].trim();

function outcome({ findings, broke, lacks }) {
  if (lacks) return 'not run';
  return !broke && findings.failures.length === 0 ? 'pass' : '**fail**';
}

function measured({ findings, broke, lacks }) {
  if (lacks) return `this machine lacks ${lacks}`;
  const texts = findings?.measured.map((text) => (findings.failures.includes(text) ? `**${text}**` : text)) ?? [];
  if (broke) texts.push(`broke off: ${broke.split('\n')[0]}`);
  return texts.join('<br>').replaceAll('|', '\\|');
}

/** The text of the report. */
export async function report({ began, ended, results, realTime, scale }) {
  const rows = results.map((result) => {
    const { name, proves, required } = result.scenario;
    return `| ${name} | ${proves} | ${required} | ${measured(result)} | ${outcome(result)} |`;
  });
  const details = results.flatMap(({ scenario, findings }) =>
    (findings?.details ?? []).map((text) => `### ${scenario.name}\n\n${text}\n`));
  const memory = Math.round(totalmem() / 2 ** 30);
  return `# Soak of ${began.toISOString().slice(0, 10)}

${realTime ? 'In real time.' : `At the scale ${scale.toFixed(4)}: 15 s are ${(15_000 * scale).toFixed(0)} ms.`}
From ${began.toISOString()} to ${ended.toISOString()}, on ${cpus().length} cores with ${memory} GiB, shared with other work.

Reproduce it with \`cargo xtask soak${realTime ? ' --real-time' : ''}\`.

| What | Version |
| --- | --- |
| gateway | ${firstLine('git', 'rev-parse', '--short=12', 'HEAD')} |
| \`@modelcontextprotocol/sdk\` | ${await version('@modelcontextprotocol/sdk')} |
| \`@modelcontextprotocol/client\` | ${await version('@modelcontextprotocol/client')} |
| Node.js | ${process.versions.node} |
| load balancer | ${firstLine('haproxy', '-v')} |
| store | ministack, DynamoDB and KMS |

Clients have no cookies, and the load balancer goes round-robin request by request.

| Scenario | Proves | Required | Measured | |
| --- | --- | --- | --- | --- |
${rows.join('\n')}

## Details

${details.join('\n')}`;
}
