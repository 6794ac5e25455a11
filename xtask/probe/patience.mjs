// What takes time: streams that stay open, and connections that are used again after a pause.

import http2 from 'node:http2';
import https from 'node:https';
import tls from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';

import { message } from './connection.mjs';

/** How much longer than it was asked to take a call may take. */
const CALL_GRACE_SECONDS = 15;

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

/** One call of a session that takes `seconds`, with all that is said on the way. */
export function call(place, session, seconds) {
  const began = performance.now();
  const seen = { asked_seconds: seconds, progress: 0, longest_gap_ms: 0, result: '', ended: null };
  const params = { name: 'gateway_wait', arguments: { seconds }, _meta: { progressToken: 'verify' } };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 4, method: 'tools/call', params });
  const headers = { host: place.url.host, ...session.headers, authorization: `Bearer ${place.token}` };
  return new Promise((resolve) => {
    let last = began;
    let text = '';
    const look = () => {
      seen.longest_gap_ms = Math.max(seen.longest_gap_ms, Math.round(performance.now() - last));
      last = performance.now();
    };
    const end = (why) => {
      clearTimeout(timer);
      request.destroy();
      look();
      resolve({ ...seen, ended: why, took_ms: Math.round(performance.now() - began) });
    };
    const answer = ({ result, error }) => {
      seen.result = error ? `error ${error.code}: ${error.message}` : result.content?.[0]?.text ?? 'nothing';
      end(null);
    };
    const request = https.request({ ...place.tls(), path: session.path, method: 'POST', headers, agent: false }, (response) => {
      const isStream = String(response.headers['content-type']).startsWith('text/event-stream');
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        text += chunk;
        if (!isStream) return;
        const events = text.split('\n\n');
        text = events.pop();
        for (const event of events) {
          const data = event.split('\n').filter((line) => line.startsWith('data:')).map((line) => line.slice(5)).join('');
          if (data.trim() === '') continue;
          const said = JSON.parse(data);
          if (said.method === 'notifications/progress') {
            seen.progress += 1;
            look();
          } else if (said.id === 4) answer(said);
        }
      });
      response.on('end', () => {
        if (isStream) return end('it was ended');
        if (response.statusCode !== 200) return end(`status ${response.statusCode}: ${text.slice(0, 200)}`);
        return answer(message({ headers: response.headers, text }));
      });
      response.on('error', (error) => end(error.message));
    });
    const timer = setTimeout(() => end('nothing more came'), (seconds + CALL_GRACE_SECONDS) * 1000);
    request.on('error', (error) => end(error.message));
    request.end(body);
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
