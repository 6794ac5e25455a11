// The synthetic ping against a server that answers as the gateway should, and then as it should not.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { readFileSync } from 'node:fs';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let server: Server;
let answers: Record<string, Answer>;
let ping: () => Promise<unknown>;

const text = (status: number, body = '', headers: Record<string, string> = {}): Answer => (_, response) => {
  response.writeHead(status, headers).end(body);
};

beforeEach(async () => {
  server = createServer((request, response) => (answers[`${request.method} ${request.url}`] ?? text(404))(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  process.env['PUBLIC_URL'] = url;
  answers = {
    'GET /health': text(200),
    'POST /mcp': text(401, '', { 'www-authenticate': `Bearer resource_metadata="${url}/.well-known/oauth-protected-resource"` }),
    'GET /.well-known/oauth-authorization-server': text(200, JSON.stringify({ issuer: url })),
  };
  const module = new URL('../lib/construct/ping.mjs', import.meta.url).href;
  ping = ((await import(/* @vite-ignore */ module)) as { handler: () => Promise<unknown> }).handler;
});

afterEach(() => new Promise((resolve) => server.close(resolve)));

describe('the ping', () => {
  it('is content with a gateway that works', async () => {
    await expect(ping()).resolves.toEqual({ checks: 3 });
  });

  it.each<[string, string, Answer, string]>([
    ['no task is healthy', 'GET /health', text(503), 'health: /health answers 503'],
    ['MCP answers without a token', 'POST /mcp', text(200), 'challenge: /mcp answers 200 without a token'],
    ['clients cannot find the login', 'POST /mcp', text(401), 'challenge: the challenge of /mcp names no metadata'],
    ['the issuer is another one', 'GET /.well-known/oauth-authorization-server', text(200, '{"issuer":"https://other.example.com"}'), 'metadata: the issuer is https://other.example.com'],
    ['somebody redirects', 'GET /health', text(302, '', { location: 'https://example.com/' }), 'health: /health answers 302'],
    ['the connection breaks', 'GET /health', (request) => request.socket.destroy(), 'health: fetch failed'],
  ])('complains when %s', async (_, route, answer, complaint) => {
    answers[route] = answer;
    await expect(ping()).rejects.toThrow(complaint);
  });

  it('says everything that is wrong at once', async () => {
    answers = {};
    await expect(ping()).rejects.toThrow(/^health: .*; challenge: .*; metadata: /);
  });

  it('fits into a template', () => {
    expect(readFileSync(new URL('../lib/construct/ping.mjs', import.meta.url)).length).toBeLessThan(4096);
  });
});
