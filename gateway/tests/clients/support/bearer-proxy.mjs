// A reverse proxy on loopback that adds the bearer token, for programs that cannot send one themselves.

import { createServer, request } from 'node:http';

/** Serves `target` (an origin) with `token`; resolves to `{ url, stop }`. Everything else passes untouched. */
export async function startBearerProxy(target, token) {
  const gateway = new URL(target);
  const server = createServer((incoming, outgoing) => {
    const { host: own } = new URL(url);
    const headers = ['authorization', `Bearer ${token}`];
    for (let at = 0; at < incoming.rawHeaders.length; at += 2) {
      const [name, value] = incoming.rawHeaders.slice(at, at + 2);
      // Who talks to the proxy means the gateway; who names another host or origin tests that it is refused.
      const meant = { host: { [own]: gateway.host }, origin: { [`http://${own}`]: gateway.origin } }[name.toLowerCase()];
      headers.push(name, meant?.[value] ?? value);
    }
    const { method, url: path } = incoming;
    const onward = request({ hostname: gateway.hostname, port: gateway.port, method, path, headers, agent: false });
    onward.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode, answer.statusMessage, answer.rawHeaders);
      outgoing.flushHeaders();
      answer.pipe(outgoing);
      answer.on('aborted', () => outgoing.destroy());
    });
    onward.on('error', () => outgoing.destroy());
    outgoing.on('close', () => onward.destroy());
    incoming.pipe(onward);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  return {
    url,
    stop() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
