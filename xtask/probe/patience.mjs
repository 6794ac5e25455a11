// What takes time: streams that stay open, and connections that are used again after a pause.

import http2 from 'node:http2';
import https from 'node:https';
import tls from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';

/** Watches the bytes of a stream for `seconds`. `open(onHead, onBytes, onEnd)` returns what closes it. */
async function watch(seconds, open) {
  const began = performance.now();
  const seen = { status: 0, content_type: '', first_ms: null, longest_gap_ms: 0, ended: null };
  let last = began;
  let end;
  const over = new Promise((resolve) => { end = resolve; });
  const look = () => {
    const now = performance.now();
    seen.longest_gap_ms = Math.max(seen.longest_gap_ms, Math.round(now - last));
    last = now;
  };
  const close = open(
    (status, type) => { Object.assign(seen, { status, content_type: String(type ?? '') }); },
    () => { seen.first_ms ??= Math.round(performance.now() - began); look(); },
    (why) => { seen.ended ??= why; end(); },
  );
  const timer = new AbortController();
  await Promise.race([over, sleep(seconds * 1000, undefined, { signal: timer.signal }).catch(() => {})]);
  timer.abort();
  look();
  const open_ms = Math.round(performance.now() - began);
  const { ended } = seen;
  close();
  return { ...seen, ended, open_ms };
}

/** The stream of a session over HTTP/1.1. */
export function stream(place, session, seconds) {
  return watch(seconds, (onHead, onBytes, onEnd) => {
    const headers = { host: place.url.host, ...session.headers, accept: 'text/event-stream', authorization: `Bearer ${place.token}` };
    const request = https.get({ ...place.tls(), path: session.path, headers, agent: false }, (response) => {
      onHead(response.statusCode, response.headers['content-type']);
      response.on('data', onBytes);
      response.on('end', () => onEnd('it was ended'));
      response.on('error', (error) => onEnd(error.message));
    });
    request.on('error', (error) => onEnd(error.message));
    return () => request.destroy();
  });
}

/** The same over HTTP/2. */
export function stream2(place, session, seconds) {
  return watch(seconds, (onHead, onBytes, onEnd) => {
    const connection = http2.connect(place.url.origin, {
      createConnection: () => tls.connect(place.tls({ ALPNProtocols: ['h2'] })),
    });
    connection.on('error', (error) => onEnd(error.message));
    const headers = { ...session.headers, accept: 'text/event-stream', authorization: `Bearer ${place.token}` };
    const request = connection.request({ ':path': session.path, ':authority': place.url.host, ...headers });
    request.on('response', (head) => onHead(head[':status'], head['content-type']));
    request.on('data', onBytes);
    request.on('end', () => onEnd('it was ended'));
    request.on('error', (error) => onEnd(error.message));
    request.resume();
    return () => connection.destroy();
  });
}

/** Asks twice on one connection, with a pause of `seconds` between: the two statuses, or how it broke. */
export async function reuse(place, path, seconds) {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, timeout: 0 });
  const sockets = new Set();
  const once = () => new Promise((resolve) => {
    const request = https.get({ ...place.tls(), path, headers: { host: place.url.host }, agent }, (response) => {
      sockets.add(response.socket);
      response.resume().on('end', () => resolve(String(response.statusCode)));
    });
    request.on('error', (error) => resolve(error.code ?? error.message));
  });
  try {
    const first = await once();
    await sleep(seconds * 1000);
    return { seconds, first, second: await once(), connections: sockets.size };
  } finally {
    agent.destroy();
  }
}
