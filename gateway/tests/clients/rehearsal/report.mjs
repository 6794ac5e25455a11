// The report of a rehearsal, in Markdown.

import { cpus, totalmem } from 'node:os';

const outcome = ({ broke, findings }) => (!broke && findings.failures.length === 0 ? 'pass' : '**fail**');

function measured({ broke, findings }) {
  const texts = findings.measured.map((text) => (findings.failures.includes(text) ? `**${text}**` : text));
  if (broke) texts.push(`broke off: ${broke.split('\n')[0]}`);
  return texts.join('<br>').replaceAll('|', '\\|');
}

/** The text of the report. */
export function report({ commit, began, ended, results, steps }) {
  const rows = results.map((result) => `| ${result.name} | ${result.required} | ${measured(result)} | ${result.seconds} s | ${outcome(result)} |`);
  return `# Rehearsal of ${began.toISOString().slice(0, 10)}

Releases of commit \`${commit}\` on the local stage, with real MCP clients connected.
From ${began.toISOString()} to ${ended.toISOString()}, on ${cpus().length} cores with ${Math.round(totalmem() / 2 ** 30)} GiB.
${results.length} of ${steps} steps ran.

Reproduce it with \`cargo xtask local rehearse\`.

| Step | Required | Measured | Took | |
| --- | --- | --- | --- | --- |
${rows.join('\n')}
`;
}
