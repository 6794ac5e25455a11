// The rigs themselves: each does to a connection what its network would, says so in its counts, and nothing else.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { startBuffering, startNat, startProxy, startSilenceCut, startSlowReader } from './index.mjs';
import { Responses } from './responses.mjs';

/** A server that hands its connections out, and what `startRig` puts in front of it. */
async function stage(t, startRig) {
  const sockets = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    sockets.push(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const rig = await startRig({ port: server.address().port });
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await rig.stop();
    server.close();
  });
  return {
    rig,
    /** A client's socket and the server's end of it, each with what it heard so far. */
    async pair() {
      const client = connect({ port: rig.port, host: '127.0.0.1', allowHalfOpen: true });
      await Promise.all([once(client, 'connect'), once(server, 'connection')]);
      return { client: ear(client), server: ear(sockets.at(-1)) };
    },
  };
}

function ear(socket) {
  const heard = { socket, text: '', ended: false, error: undefined, write: (text) => socket.write(text) };
  socket.on('data', (chunk) => { heard.text += chunk; });
  socket.on('end', () => { heard.ended = true; });
  socket.on('error', (error) => { heard.error = error.code; });
  return heard;
}

async function eventually(what, probe) {
  for (let tries = 0; tries < 400; tries += 1) {
    if (probe()) return;
    await sleep(5);
  }
  assert.fail(what);
}

test('without a rule everything passes, both ways, with the end of each side', async (t) => {
  const { rig, pair } = await stage(t, startProxy);
  const { client, server } = await pair();
  client.write('question');
  await eventually('the question arrives', () => server.text === 'question');
  server.write('answer');
  server.socket.end();
  await eventually('the answer arrives, then FIN', () => client.text === 'answer' && client.ended);
  client.write(' and thanks');
  await eventually('the other direction is still open', () => server.text === 'question and thanks');
  client.socket.end();
  await eventually('nothing is left', () => server.ended && rig.links.size === 0);
  assert.deepEqual([rig.counts.accepted, rig.counts.bytesUp, rig.counts.bytesDown], [1, 19, 6]);
});

test('a server that is not there is told as RST', async (t) => {
  const { rig } = await stage(t, startProxy);
  rig.target = { port: 1 };
  const client = ear(connect(rig.port, '127.0.0.1'));
  await eventually('the client is reset', () => client.error === 'ECONNRESET');
  assert.equal(rig.counts.unreachable, 1);
});

test('cut ends both sides with FIN, reset with RST', async (t) => {
  const { rig, pair } = await stage(t, startProxy);
  const first = await pair();
  assert.equal(rig.cut(), 1);
  await eventually('both sides end', () => first.client.ended && first.server.ended);
  assert.deepEqual([first.client.error, first.server.error], [undefined, undefined]);
  first.client.socket.destroy();
  const second = await pair();
  assert.equal(rig.reset(), 1);
  await eventually('both sides are reset', () =>
    second.client.error === 'ECONNRESET' && second.server.error === 'ECONNRESET');
  assert.deepEqual([rig.counts.cut, rig.counts.reset], [1, 1]);
});

test('a frozen connection passes nothing and tells nobody, a later one works, and thawing gives everything', async (t) => {
  const { rig, pair } = await stage(t, startProxy);
  const { client, server } = await pair();
  rig.freeze();
  client.write('held');
  server.write('back');
  server.socket.end();
  const other = await pair();
  other.client.write('new');
  await eventually('a new connection works', () => other.server.text === 'new');
  assert.deepEqual([server.text, client.text, client.ended], ['', '', false]);
  rig.thaw();
  await eventually('all of it arrives', () => server.text === 'held' && client.text === 'back' && client.ended);
  assert.equal(rig.counts.frozen, 1);
});

test('a closed rig resets who comes', async (t) => {
  const { rig } = await stage(t, startProxy);
  rig.closed = true;
  const client = ear(connect(rig.port, '127.0.0.1'));
  await eventually('the client is reset', () => client.error === 'ECONNRESET');
  assert.deepEqual([rig.counts.refused, rig.counts.accepted], [1, 0]);
});

test('a NAT keeps what talks, forgets what is silent, and answers RST to what comes later', async (t) => {
  const { rig, pair } = await stage(t, (target) => startNat(target, { scale: 1 / 400 }));
  const silent = await pair();
  const talking = await pair();
  for (let turn = 0; turn < 6; turn += 1) {
    await sleep(50);
    talking.server.write('.');
  }
  await eventually('what talks arrives', () => talking.client.text === '......');
  assert.equal(rig.counts.forgotten, 1);
  silent.server.write('into the void');
  silent.server.socket.end();
  await eventually('it vanished', () => rig.counts.vanishedDown === 13);
  assert.deepEqual([silent.client.text, silent.client.ended, silent.client.error], ['', false, undefined]);
  silent.client.write('hello?');
  await eventually('RST', () => silent.client.error === 'ECONNRESET');
  assert.deepEqual([rig.counts.reset, rig.counts.vanishedUp, silent.server.error], [1, 6, undefined]);
});

test('a NAT that drops says nothing to what comes later', async (t) => {
  const { rig, pair } = await stage(t, (target) => startNat(target, { scale: 1 / 1_000, later: 'drop' }));
  const { client, server } = await pair();
  await eventually('it is forgotten', () => rig.counts.forgotten === 1);
  client.write('hello?');
  client.socket.end();
  await eventually('it vanished', () => rig.counts.vanishedUp === 6);
  assert.deepEqual([client.error, client.ended, server.text, server.ended], [undefined, false, '', false]);
});

test('a proxy that minds silence cuts the silent connection only', async (t) => {
  const { rig, pair } = await stage(t, (target) => startSilenceCut(target, { scale: 1 / 1_000 }));
  const silent = await pair();
  const talking = await pair();
  for (let turn = 0; turn < 8; turn += 1) {
    await sleep(30);
    talking.client.write('.');
  }
  await eventually('what talks arrives', () => talking.server.text === '........');
  assert.deepEqual([silent.client.ended, silent.server.ended, talking.client.ended], [true, true, false]);
  assert.equal(rig.counts.silent, 1);
});

const HEAD = 'HTTP/1.1 200 OK\r\n';

test('a buffering proxy holds a response until it is complete, or until there is enough of it', async (t) => {
  const { rig, pair } = await stage(t, (target) => startBuffering(target, { bytes: 100 }));
  const { client, server } = await pair();
  client.write('GET / HTTP/1.1\r\n\r\n');
  server.write(`${HEAD}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n`);
  await sleep(30);
  assert.equal(client.text, '');
  server.write('0\r\n\r\n');
  await eventually('the complete response', () => client.text.endsWith('0\r\n\r\n'));
  client.text = '';
  server.write(`${HEAD}content-length: 500\r\n\r\n`);
  await sleep(30);
  assert.equal(client.text, '');
  server.write('x'.repeat(200));
  await eventually('enough of it', () => client.text.endsWith('x'.repeat(200)));
  server.socket.end('y');
  await eventually('the rest with the end', () => client.text.endsWith('xy') && client.ended);
  assert.equal(rig.counts.buffered, 2);
});

test('a buffering proxy lets pass what asks for it, unless it knows no exception', async (t) => {
  const stream = `${HEAD}X-Accel-Buffering: no\r\ntransfer-encoding: chunked\r\n\r\n`;
  const polite = await stage(t, startBuffering);
  const passed = await polite.pair();
  passed.server.write(stream);
  await eventually('it passes', () => passed.client.text === stream);
  assert.deepEqual([polite.rig.counts.passed, polite.rig.counts.buffered], [1, 0]);
  const stubborn = await stage(t, (target) => startBuffering(target, { polite: false }));
  const held = await stubborn.pair();
  held.server.write(stream);
  await eventually('it is seen', () => stubborn.rig.counts.buffered === 1);
  assert.equal(held.client.text, '');
});

test('a slow reader takes so many bytes a second, and a stalled one nothing but the first', async (t) => {
  const { rig, pair } = await stage(t, (target) => startSlowReader(target, { bytesPerSecond: 40_000 }));
  const slow = await pair();
  const began = Date.now();
  slow.server.write('z'.repeat(10_000));
  await eventually('the beginning', () => slow.client.text.length > 0);
  slow.server.write('z'.repeat(10_000));
  await eventually('everything in the end', () => slow.client.text.length === 20_000);
  assert.ok(Date.now() - began >= 240, 'the first 10,000 bytes cost a quarter of a second');
  assert.ok(rig.counts.pauses >= 1);
  const stalled = await stage(t, (target) => startSlowReader(target, { bytesPerSecond: 0 }));
  const stuck = await stalled.pair();
  stuck.server.write('first');
  await eventually('the first', () => stuck.client.text === 'first');
  stuck.server.write('second');
  await sleep(50);
  assert.equal(stuck.client.text, 'first');
});

test('responses are told apart however their bytes are cut up', () => {
  const wire = `${HEAD}Content-Length: 3\r\n\r\nabcHTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n`
    + `${HEAD}Transfer-Encoding: chunked\r\n\r\n2\r\n\r\n\r\na;x=y\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n`
    + 'HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil the end';
  for (const size of [1, 2, 3, 7, 50, 1_000]) {
    const responses = new Responses();
    const complete = [''];
    const statuses = [];
    for (let at = 0; at < wire.length; at += size) {
      for (const { data, head, end } of responses.read(Buffer.from(wire.slice(at, at + size)))) {
        complete.push(complete.pop() + data);
        if (head) statuses.push(head.status);
        if (end) complete.push('');
      }
    }
    assert.deepEqual(statuses, [200, 202, 200, 204, 200], `pieces of ${size}`);
    assert.equal(complete.join(''), wire);
    assert.deepEqual([complete.length, complete.at(-1).endsWith('until the end')], [5, true], `pieces of ${size}`);
    assert.ok(complete[0].endsWith('abc') && complete[2].endsWith('Trailer: t\r\n\r\n'));
  }
});

test('a response to HEAD has no body', () => {
  const responses = new Responses();
  responses.request(Buffer.from('HEAD /health HTTP/1.1\r\n\r\n'));
  const [only] = responses.read(Buffer.from(`${HEAD}content-length: 80\r\n\r\n`));
  assert.equal(only.end, true);
});
