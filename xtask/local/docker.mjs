// The container daemon as the emulator of ECS sees it: a container is stopped as ECS stops a task. It gets SIGTERM at
// once, and SIGKILL only after `stopTimeout`; whoever asked for it does not wait, and is free to stop the next one.
//
// Usage: node docker.mjs LISTEN DOCKER SECONDS

import http from 'node:http';

const [listen, docker, seconds] = process.argv.slice(2);
const STOP = /^(?:\/v[\d.]+)?\/containers\/([^/]+)\/stop/;
const REMOVE = /^(?:\/v[\d.]+)?\/containers\/([^/?]+)(?:\?|$)/;

/** The containers on their way out, and what is to be done when they have ended. */
const leaving = new Map();

/** Asks the daemon itself, and says how it answered. */
function ask(method, path) {
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath: docker, method, path }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode)).on('close', () => reject(new Error(`${method} ${path} broke off`)));
    });
    request.on('error', reject).end();
  });
}

async function stop(id) {
  const began = Date.now();
  const removals = [];
  leaving.set(id, removals);
  await expect('POST', `/containers/${id}/stop?t=${seconds}`, [204, 304, 404]);
  console.log(`${id} ended after ${Date.now() - began} ms`);
  for (const path of removals) await expect('DELETE', path, [204, 404, 409]);
  leaving.delete(id);
}

/** Whoever asked for this was told long ago that it is done, so it has to be: else the stage ends. */
async function expect(method, path, statuses) {
  const status = await ask(method, path).catch((error) => error.message);
  if (statuses.includes(status)) return;
  console.log(`${method} ${path} is answered ${status}`);
  process.exit(1);
}

function pass(request, answer) {
  const { method, url: path, headers } = request;
  const onward = http.request({ socketPath: docker, method, path, headers }, (response) => {
    answer.writeHead(response.statusCode, response.headers);
    // Logs are followed: what there is goes out at once.
    answer.flushHeaders();
    response.pipe(answer);
  });
  onward.on('error', (error) => {
    if (!answer.headersSent) answer.writeHead(502);
    answer.end(JSON.stringify({ message: error.message }));
  });
  answer.on('close', () => onward.destroy());
  request.pipe(onward);
}

const server = http.createServer({ requestTimeout: 0, keepAliveTimeout: 0 }, (request, answer) => {
  const { method, url } = request;
  const [, stopped] = method === 'POST' ? url.match(STOP) ?? [] : [];
  const [, removed] = method === 'DELETE' ? url.match(REMOVE) ?? [] : [];
  const isLater = stopped !== undefined || leaving.has(removed);
  if (!isLater) return pass(request, answer);
  if (stopped === undefined) leaving.get(removed).push(url);
  else if (!leaving.has(stopped)) stop(stopped);
  request.resume().on('end', () => answer.writeHead(204).end());
});
server.listen(listen, () => console.log('ready'));
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
