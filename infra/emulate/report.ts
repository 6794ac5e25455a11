// Counts checks and prints one line each, as `cargo xtask test` reads them.

/** Checks of one run. */
export class Report {
  passed = 0;
  failed = 0;
  private readonly failures: string[] = [];

  /** A check that has been made; `problem` is empty when it holds. */
  check(what: string, problem: string): void {
    if (problem === '') this.passed += 1;
    else this.failed += 1;
    const line = problem === '' ? `ok    ${what}\n` : `FAIL  ${what}\n      ${problem.replaceAll('\n', '\n      ')}\n`;
    if (problem !== '') this.failures.push(line);
    process.stdout.write(line);
  }

  /** Runs a step whose failure must not hide the others. */
  async step(what: string, run: () => Promise<string>): Promise<boolean> {
    const start = performance.now();
    const problem = await run().catch((error: unknown) => String(error instanceof Error ? error.message : error) || 'failed');
    this.check(`${what} (${((performance.now() - start) / 1000).toFixed(1)} s)`, problem);
    return problem === '';
  }

  /** Counts of another tool. */
  add(passed: number, failed: number): void {
    this.passed += passed;
    this.failed += failed;
  }

  /** Something that could not be run here; `cargo xtask test` shows these lines. */
  notRun(what: string, why: string): void {
    process.stdout.write(`not run: ${what} (${why})\n`);
  }

  /** What failed once more, where a reader of the end sees it, and the last line. */
  end(): void {
    process.stdout.write(this.failures.join(''));
    process.stdout.write(`${this.passed} passed, ${this.failed} failed\n`);
    process.exitCode = this.failed > 0 || this.passed === 0 ? 1 : 0;
  }
}
