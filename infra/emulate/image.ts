// Images of a few hundred bytes that only wait, or end at once, and the registry that ECS pulls them from.
//
// They stand in for the gateway, so that a test of stacks and releases needs no build of it. The image of the gateway
// itself is deployed by the tests of the local target.

import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the process of an image does: waits for ever, or ends with a code. */
export interface Behaviour {
  readonly exitCode?: number;
}

/** An image in the registry. */
export interface Image {
  readonly digest: string;
  readonly manifest: string;
}

/** A registry with the same images in every repository. */
export interface Registry {
  readonly address: string;
  readonly images: Readonly<Record<string, Image>>;
  close(): void;
}

/** `mov eax, SYS_pause; syscall; jmp` to the start. */
const WAIT_FOR_EVER = Buffer.from([0xb8, 0x22, 0x00, 0x00, 0x00, 0x0f, 0x05, 0xeb, 0xf7]);

/** `mov eax, SYS_exit; mov edi, code; syscall`. */
const end = (code: number) => Buffer.from([0xb8, 0x3c, 0x00, 0x00, 0x00, 0xbf, code, 0x00, 0x00, 0x00, 0x0f, 0x05]);

const LOAD_ADDRESS = 0x40_0000n;

/** A static x86-64 program: one header, one segment, a few bytes of code. */
function program(code: Buffer): Buffer {
  const [header, segment] = [Buffer.alloc(64), Buffer.alloc(56)];
  const start = BigInt(header.length + segment.length);
  const size = start + BigInt(code.length);
  header.write('\u007fELF', 'latin1');
  header.set([2, 1, 1], 4);
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(62, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(LOAD_ADDRESS + start, 24);
  header.writeBigUInt64LE(BigInt(header.length), 32);
  header.writeUInt16LE(header.length, 52);
  header.writeUInt16LE(segment.length, 54);
  header.writeUInt16LE(1, 56);
  segment.writeUInt32LE(1, 0);
  segment.writeUInt32LE(5, 4);
  for (const offset of [16, 24]) segment.writeBigUInt64LE(LOAD_ADDRESS, offset);
  for (const offset of [32, 40]) segment.writeBigUInt64LE(size, offset);
  segment.writeBigUInt64LE(0x1000n, 48);
  return Buffer.concat([header, segment, code]);
}

/** A tar archive with one executable. */
function archive(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(512);
  const octal = (value: number, width: number) => `${value.toString(8).padStart(width - 1, '0')}\0`;
  header.write(name, 0);
  header.write(octal(0o755, 8) + octal(0, 8) + octal(0, 8) + octal(content.length, 12) + octal(0, 12), 100);
  header.write('        0', 148);
  header.write('ustar\u000000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, content, Buffer.alloc(512 - (content.length % 512)), Buffer.alloc(1024)]);
}

const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';

/** The parts of an image; its name makes it another one than all that behave alike. */
function parts(name: string, { exitCode }: Behaviour): { layer: Buffer; config: Buffer; manifest: Buffer } {
  const layer = archive('gateway', program(exitCode === undefined ? WAIT_FOR_EVER : end(exitCode)));
  const labels = { 'org.opencontainers.image.title': name };
  const settings = { Entrypoint: ['/gateway'], Labels: labels };
  const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', config: settings, rootfs: { type: 'layers', diff_ids: [digestOf(layer)] } }));
  const part = (mediaType: string, bytes: Buffer) => ({ mediaType, size: bytes.length, digest: digestOf(bytes) });
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: part('application/vnd.docker.container.image.v1+json', config),
    layers: [part('application/vnd.docker.image.rootfs.diff.tar', layer)],
  };
  return { layer, config, manifest: Buffer.from(JSON.stringify(manifest)) };
}

/** Serves images by their names on loopback, which every Docker daemon takes without TLS. */
export async function serveImages(behaviours: Readonly<Record<string, Behaviour>>): Promise<Registry> {
  const blobs = new Map<string, Buffer>();
  const manifests = new Set<string>();
  const images: Record<string, Image> = {};
  for (const [name, behaviour] of Object.entries(behaviours)) {
    const { layer, config, manifest } = parts(name, behaviour);
    for (const bytes of [layer, config, manifest]) blobs.set(digestOf(bytes), bytes);
    manifests.add(digestOf(manifest));
    images[name] = { digest: digestOf(manifest), manifest: manifest.toString() };
  }
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    const digest = path.split('/').at(-1) ?? '';
    const wanted = blobs.get(digest);
    if (path === '/v2/') response.end('{}');
    else if (wanted === undefined) response.writeHead(404).end();
    else {
      response.writeHead(200, {
        'content-type': manifests.has(digest) ? MANIFEST : 'application/octet-stream',
        'content-length': wanted.length,
        'docker-content-digest': digest,
      });
      response.end(request.method === 'HEAD' ? undefined : wanted);
    }
  });
  await listen(server);
  const { port } = server.address() as AddressInfo;
  return { address: `127.0.0.1:${port}`, images, close: () => server.close() };
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
}
