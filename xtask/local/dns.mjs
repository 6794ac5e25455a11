// Answers DNS for the containers of the local stage, which have no way out: a few names with an address each.
//
// Usage: node dns.mjs LISTEN NAME=ADDRESS...

import dgram from 'node:dgram';

const [listen, ...records] = process.argv.slice(2);
const addresses = new Map(records.map((record) => record.toLowerCase().split('=')));

const HEADER = 12;
const [TYPE_A, CLASS_IN, TTL_SECONDS] = [1, 1, 60];
const [NO_ERROR, NO_SUCH_NAME] = [0, 3];

/** The one question of a request: its name, its type, and where it ends. */
function question(request) {
  const labels = [];
  let at = HEADER;
  while (request[at] !== 0) {
    labels.push(request.toString('latin1', at + 1, at + 1 + request[at]));
    at += 1 + request[at];
  }
  return { name: labels.join('.').toLowerCase(), type: request.readUInt16BE(at + 1), end: at + 5 };
}

function answer(request) {
  const { name, type, end } = question(request);
  const isKnown = addresses.has(name);
  const isAddress = isKnown && type === TYPE_A;
  const head = Buffer.from(request.subarray(0, end));
  // An authoritative answer; recursion was wanted or not.
  head.writeUInt16BE(0x8400 | (request.readUInt16BE(2) & 0x0100) | (isKnown ? NO_ERROR : NO_SUCH_NAME), 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(isAddress ? 1 : 0, 6);
  head.writeUInt32BE(0, 8);
  if (!isAddress) return head;
  const record = Buffer.alloc(16);
  record.writeUInt16BE(0xc000 | HEADER, 0);
  record.writeUInt16BE(TYPE_A, 2);
  record.writeUInt16BE(CLASS_IN, 4);
  record.writeUInt32BE(TTL_SECONDS, 6);
  record.writeUInt16BE(4, 10);
  record.set(addresses.get(name).split('.').map(Number), 12);
  return Buffer.concat([head, record]);
}

const server = dgram.createSocket('udp4');
server.on('message', (request, from) => {
  try {
    server.send(answer(request), from.port, from.address);
  } catch {
    // What is no question gets no answer.
  }
});
server.bind(53, listen, () => process.stdout.write('ready\n'));
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
