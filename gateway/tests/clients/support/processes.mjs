// Starts and stops the processes of a test stack, and never leaves one behind.

import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

const running = new Set();

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a program; `output` collects what it prints, for failure messages, `printed` only standard output. */
export function start(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
  running.add(child);
  const output = [];
  child.printed = [];
  // `close` comes after the last line of output, `exit` may come before it.
  child.exited = new Promise((resolve) => child.on('close', (code, signal) => {
    running.delete(child);
    resolve({ code, signal });
  }));
  child.output = output;
  child.lines = createInterface({ input: child.stdout });
  child.lines.on('line', (line) => {
    output.push(line);
    child.printed.push(line);
  });
  createInterface({ input: child.stderr }).on('line', (line) => output.push(line));
  return child;
}

/** Asks a process to stop, and resolves with how it ended. */
export async function stop(child, signal = 'SIGTERM') {
  if (child.exitCode === null && child.signalCode === null) child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
  const ended = await child.exited;
  clearTimeout(timer);
  return ended;
}

/** A port that was free a moment ago. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Repeats `probe` until it returns something, or fails with what the processes printed. */
export async function until(what, probe, children = [], timeout = 20_000) {
  const end = Date.now() + timeout;
  for (;;) {
    const value = await probe().catch(() => undefined);
    if (value) return value;
    const dead = children.find((child) => child.exitCode !== null);
    if (dead || Date.now() > end) {
      const log = children.flatMap((child) => child.output.slice(-30)).join('\n');
      // A process that stays would keep the test run from ending.
      for (const child of children) child.kill('SIGKILL');
      throw new Error(`${what}: ${dead ? 'a process ended' : 'it took too long'}\n${log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
