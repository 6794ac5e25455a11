// The stage taken for AWS: `verify` runs on it as an operator's does, with an endpoint and credentials in the environment
// and with DNS. So it looks at whose account it is, at attestations, and at what the host's record says.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { ADDRESS, startFront } from '../../../../xtask/probe/support/front.mjs';
import { balancer } from './changes.mjs';
import { AWS, ENDPOINT, HOSTS, MCP, NAME, ROOT, Xtask, authority, aws } from './stage.mjs';

const { hostname, origin } = new URL(MCP);
const BALANCER = HOSTS[hostname];
const ACCOUNT = '123456789012';
/** Whom ministack takes for another account. */
const ANOTHER = '999999999999';

/** Beside the templates of the last synth. */
const DECLARED = join(ROOT, 'infra/cdk.out/assembly-local/declared-of-aws.json');
const RESOLV = join(ROOT, '.dev/local/resolv.conf');
const DNS = { listen: '127.66.0.53', program: join(ROOT, 'xtask/local/dns.mjs') };

/** Says where the host is until it is stopped; the name of the load balancer stays. */
async function startDns(address) {
  const { DNSName } = await balancer();
  const child = spawn(process.execPath, [DNS.program, DNS.listen, `${hostname}=${address}`, `${DNSName}=${BALANCER}`], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  await Promise.race([once(child.stdout, 'data'), closed.then(([code]) => Promise.reject(new Error(`the DNS ended with ${code}`)))]);
  return async () => {
    child.kill();
    await closed;
  };
}

/** Writes what `verify` needs, and returns it as whoever has the access key. */
async function operator() {
  const declared = JSON.parse(await readFile(join(dirname(DECLARED), 'declared.json'), 'utf8'));
  declared.account.id = ACCOUNT;
  await writeFile(DECLARED, JSON.stringify(declared));
  await writeFile(RESOLV, `nameserver ${DNS.listen}\n`);
  // In a mount namespace, so that nobody else asks the DNS of the rehearsal.
  const before = ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /etc/resolv.conf && exec "$@"', RESOLV];
  return (key) => new Xtask({
    before,
    env: { PATH: `${dirname(AWS)}:${process.env.PATH}`, AWS_ENDPOINT_URL: ENDPOINT, AWS_ACCESS_KEY_ID: key, AWS_SECRET_ACCESS_KEY: 'emulated', AWS_EC2_METADATA_DISABLED: 'true' },
  });
}

const EMPTY = { mediaType: 'application/vnd.oci.empty.v1+json', digest: 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', size: 2 };
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const ATTESTED = ['https://slsa.dev/provenance/v1', 'https://cyclonedx.org/bom'];

/** Attaches to an image what `release.yml` does, one attestation each; returns the digest of its manifest. */
async function attach(subject, predicate) {
  const manifest = {
    schemaVersion: 2, mediaType: MANIFEST, artifactType: BUNDLE, config: EMPTY, layers: [{ ...EMPTY, mediaType: BUNDLE }], subject,
    annotations: { 'dev.sigstore.bundle.content': 'dsse-envelope', 'dev.sigstore.bundle.predicateType': predicate },
  };
  const { image } = await aws('ecr', 'put-image', '--repository-name', NAME, '--image-manifest', JSON.stringify(manifest), '--image-manifest-media-type', MANIFEST);
  return image.imageId.imageDigest;
}

/** The step. `shown` tells what was found. */
export const takenForAws = (keepToken, shown) => ['taken for AWS', 'with the account, attestations and DNS everything passes; other credentials are found as A1, a lost SBOM as F7 and a record that points elsewhere as L1, and nothing else', async (findings) => {
  const as = await operator();
  const options = ['--declared', DECLARED, '--authority', authority(), ...(await keepToken())];
  const failing = async (key, ...more) => {
    const { assertions } = await as(key).json('verify', '--env', 'local', ...options, ...more);
    return assertions.filter(({ verdict }) => verdict !== 'pass');
  };
  const expect = async (id, words, found) => {
    findings.check(`found: ${shown(found)}`, found.map((one) => one.id).join() === id && (id === '' || found[0].actual.includes(words)));
    if (found[0]) findings.check(`fix: ${found[0].fix}`, found[0].fix.includes({ A1: '--profile', F7: 'gh workflow run deploy.yml', L1: 'point the record' }[id]));
  };
  const { Parameter: { Value: digest } } = await aws('ssm', 'get-parameter', '--name', '/mcp-gateway/local/image-digest');
  const subject = { mediaType: MANIFEST, digest, size: 2 };
  const [, sbom] = await Promise.all(ATTESTED.map((predicate) => attach(subject, predicate)));
  let stopDns = await startDns(BALANCER);
  try {
    await expect('', '', await failing(ACCOUNT, '--quick'));
    await expect('', '', await failing(ACCOUNT, '--full', '--only', 'F'));
    await expect('A1', ANOTHER, await failing(ANOTHER, '--quick'));
    await aws('ecr', 'batch-delete-image', '--repository-name', NAME, '--image-ids', `imageDigest=${sbom}`);
    await expect('F7', 'no SBOM among 1 referrers', await failing(ACCOUNT, '--full', '--only', 'F'));
    await attach(subject, ATTESTED[1]);
    await expect('', '', await failing(ACCOUNT, '--full', '--only', 'F'));
    await stopDns();
    stopDns = await startDns(ADDRESS);
    // It passes everything on, as it is.
    const front = await startFront({ origin, address: BALANCER, authority: authority(), server: join(dirname(authority()), 'server.pem'), httpPort: 80 });
    try {
      await expect('L1', ADDRESS, await failing(ACCOUNT, '--quick', '--only', 'L'));
    } finally {
      await front.close();
    }
    await stopDns();
    stopDns = await startDns(BALANCER);
    await expect('', '', await failing(ACCOUNT, '--quick', '--only', 'L'));
  } finally {
    await stopDns();
  }
}];
