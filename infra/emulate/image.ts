// An image of a few hundred bytes that only waits, and the registry that ECS pulls it from.
//
// It stands in for the gateway, so that a test of the stacks needs no build of it. The image of the gateway itself is
// deployed by the tests of the release tool.

import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A registry with one image in every repository. */
export interface Registry {
  readonly address: string;
  readonly digest: string;
  close(): void;
}

/** `mov eax, SYS_pause; syscall; jmp` to the start. */
const WAIT_FOR_EVER = Buffer.from([0xb8, 0x22, 0x00, 0x00, 0x00, 0x0f, 0x05, 0xeb, 0xf7]);

const LOAD_ADDRESS = 0x40_0000n;

/** A static x86-64 program: one header, one segment, nine bytes of code. */
function program(): Buffer {
  const [header, segment] = [Buffer.alloc(64), Buffer.alloc(56)];
  const start = BigInt(header.length + segment.length);
  const size = start + BigInt(WAIT_FOR_EVER.length);
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
  return Buffer.concat([header, segment, WAIT_FOR_EVER]);
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

/** Serves the image on loopback, which every Docker daemon takes without TLS. */
export async function serveImage(): Promise<Registry> {
  const layer = archive('gateway', program());
  const config = Buffer.from(
    JSON.stringify({ architecture: 'amd64', os: 'linux', config: { Entrypoint: ['/gateway'] }, rootfs: { type: 'layers', diff_ids: [digestOf(layer)] } }),
  );
  const part = (mediaType: string, bytes: Buffer) => ({ mediaType, size: bytes.length, digest: digestOf(bytes) });
  const mediaType = 'application/vnd.docker.distribution.manifest.v2+json';
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType,
      config: part('application/vnd.docker.container.image.v1+json', config),
      layers: [part('application/vnd.docker.image.rootfs.diff.tar', layer)],
    }),
  );
  const blobs = new Map([layer, config, manifest].map((bytes) => [digestOf(bytes), bytes]));
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    const wanted = blobs.get(path.split('/').at(-1) ?? '') ?? (path.includes('/manifests/') ? manifest : undefined);
    if (path === '/v2/') response.end('{}');
    else if (wanted === undefined) response.writeHead(404).end();
    else {
      response.writeHead(200, {
        'content-type': wanted === manifest ? mediaType : 'application/octet-stream',
        'content-length': wanted.length,
        'docker-content-digest': digestOf(wanted),
      });
      response.end(request.method === 'HEAD' ? undefined : wanted);
    }
  });
  await listen(server);
  const { port } = server.address() as AddressInfo;
  return { address: `127.0.0.1:${port}`, digest: digestOf(manifest), close: () => server.close() };
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
}
