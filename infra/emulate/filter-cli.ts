// Makes a synthesised assembly fit for ministack, in place, and prints what was taken out: `cargo xtask deploy --target local`.

import { filterAssembly } from './filter.ts';

const [directory] = process.argv.slice(2);
if (directory === undefined) throw new Error('say which assembly: node --import tsx emulate/filter-cli.ts DIRECTORY');
for (const { template, id, type } of filterAssembly(directory)) process.stdout.write(`${template} ${id} ${type}\n`);
