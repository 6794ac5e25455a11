// Real clients that stay connected to the deployed gateway and call it at a steady rate: a child of the rehearsal.
//
// Takes one JSON object as its argument: `mcp` (the URL), `names` (an address for each host that DNS does not know),
// `count` and `perSecond`. Answers each message of its parent with what it has seen so far; `stop` is the last one.

import dns from 'node:dns';

import { KINDS } from '../support/agents.mjs';
import { Login } from '../support/login.mjs';
import { closeAll, Load, openAgents } from '../soak/load.mjs';

const { mcp, names, count, perSecond } = JSON.parse(process.argv[2]);

const { lookup } = dns;
dns.lookup = (host, options, done) => {
  const address = names[host];
  if (address === undefined) return lookup(host, options, done);
  return options.all ? done(null, [{ address, family: 4 }]) : done(null, address, 4);
};

const logins = new Map();
const login = (name) => {
  if (!logins.has(name)) logins.set(name, new Login(`${name}@example.com`));
  return logins.get(name);
};

const agents = await openAgents({ mcp, login, kinds: Object.keys(KINDS) }, count);
const load = new Load(agents, { perSecond, work: ['list', 'whoami', 'mail'] });

/** What every client is told about `whoami` now, on the connection that it has had all the time. */
async function told() {
  // Clients of the modern era keep a list for the five minutes that it is good for, unless they are told to ask.
  const lists = await Promise.all(agents.map(({ client }) => client.listTools(undefined, { cacheMode: 'refresh' })));
  return [...new Set(lists.map(({ tools }) => tools.find(({ name }) => name === 'whoami')?.description))];
}

/** Each stream that ended, and how long its client had none. */
const gaps = () => agents.flatMap(({ kind, wire }) =>
  wire.waiting.slice(1).map(({ opened }, index) => ({ kind, ms: opened - wire.waiting[index].ended })));

async function seen() {
  return {
    told: await told(),
    calls: load.calls.length,
    failed: load.failed,
    logins: [...logins.values()].reduce((sum, one) => sum + one.logins, 0),
    open: agents.filter(({ wire }) => wire.open >= 1).length,
    gaps: gaps(),
    refused: agents.flatMap(({ kind, wire }) => wire.requests.filter(({ status }) => status >= 500).map((request) => ({ kind, ...request }))),
  };
}

process.on('message', async (question) => {
  if (question === 'stop') await load.stop();
  process.send(await seen().catch((error) => ({ broke: error.stack })));
  if (question !== 'stop') return;
  await closeAll(agents);
  process.disconnect();
});
// It ends with the run that it is part of.
process.on('disconnect', () => process.exit());
process.send({ connected: agents.length });
