// Further images for a rehearsal: one of changed sources, and the released one with something that spoils it.

import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ROOT, docker, dockerHost, run } from './stage.mjs';

/** What is changed, where clients see it. */
const FILE = 'gateway/src/google/tools/identity.rs';
const WORDS = 'Tells which Google account this connection acts for';
/** Where the changed sources are checked out. */
const CHECKOUT = join(ROOT, 'target/rehearsal');

export class Images {
  /** `released`: `REPOSITORY@sha256:...` */
  constructor(released) {
    this.released = released;
    [this.repository] = released.split('@');
  }

  /** Builds an image of a commit that changes the description of a tool; returns it as it is in the registry. */
  async fromChangedSources() {
    await this.remove();
    await run('git', ['worktree', 'add', '--detach', CHECKOUT, 'HEAD'], { cwd: ROOT });
    const file = join(CHECKOUT, FILE);
    const source = await readFile(file, 'utf8');
    if (!source.includes(WORDS)) throw new Error(`\`${FILE}\` does not say \`${WORDS}\` any more`);
    await writeFile(file, source.replace(WORDS, `${WORDS} (second release)`));
    const person = ['-c', 'user.name=rehearsal', '-c', 'user.email=rehearsal@example.com'];
    // The same commit each time, so that a second rehearsal finds it built.
    const date = await run('git', ['show', '--no-patch', '--format=%cI', 'HEAD'], { cwd: CHECKOUT });
    const dates = { ...process.env, GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date };
    await run('git', [...person, 'commit', '--quiet', '--all', '--message', 'Change what a tool says of itself'], { cwd: CHECKOUT, env: dates });
    const env = {
      ...process.env,
      CARGO_MANIFEST_DIR: join(CHECKOUT, 'xtask'),
      CARGO_TARGET_DIR: join(ROOT, 'target'),
      DOCKER_HOST: dockerHost(),
    };
    const built = await run(process.env.XTASK_BIN, ['image', '--engine', 'docker', '--push', this.repository, '--json'], { cwd: CHECKOUT, env });
    return JSON.parse(built).uri;
  }

  changedCommit() {
    return run('git', ['rev-parse', 'HEAD'], { cwd: CHECKOUT });
  }

  /** The released image with one more environment variable, in the registry. */
  withSetting(tag, name, value) {
    return this.#altered(tag, (container) => docker('commit', '--change', `ENV ${name}=${value}`, container, `${this.repository}:${tag}`));
  }

  /** The released image on a base that has a package of Debian, in the registry. */
  async withPackage(tag, name, version) {
    const base = await mkdtemp(join(tmpdir(), 'rehearsal-'));
    try {
      // What is copied into a container keeps its mode, and this becomes its root.
      await chmod(base, 0o755);
      await mkdir(join(base, 'etc'));
      await writeFile(join(base, 'etc/os-release'), 'ID=debian\n');
      await mkdir(join(base, 'var/lib/dpkg'), { recursive: true });
      await writeFile(join(base, 'var/lib/dpkg/status'), `Package: ${name}\nStatus: install ok installed\nVersion: ${version}\n`);
      return await this.#altered(tag, async (container) => {
        await docker('cp', `${base}/.`, `${container}:/`);
        await docker('commit', container, `${this.repository}:${tag}`);
      });
    } finally {
      await rm(base, { recursive: true });
    }
  }

  /** Commits a container of the released image as it is altered. */
  async #altered(tag, commit) {
    const container = await docker('create', this.released);
    await commit(container);
    await docker('rm', container);
    await docker('push', '--quiet', `${this.repository}:${tag}`);
    const digests = JSON.parse(await docker('image', 'inspect', '--format', '{{json .RepoDigests}}', `${this.repository}:${tag}`));
    return digests.find((digest) => digest.startsWith(`${this.repository}@`));
  }

  /** Takes the changed sources away. */
  async remove() {
    await rm(CHECKOUT, { recursive: true, force: true });
    await run('git', ['worktree', 'prune'], { cwd: ROOT });
  }
}
