// What a scenario says about itself: requirements as checks, times as percentiles and histograms.

/** Collects what was measured and what was not as it should be. */
export class Findings {
  measured = [];
  failures = [];
  /** Further parts of the report, in Markdown. */
  details = [];

  /** Says what was measured, and fails unless `good`. */
  check(text, good) {
    this.measured.push(text);
    if (!good) this.failures.push(text);
  }

  /** `count` of something that must not be; the first few are shown. */
  none(what, found) {
    this.check(`${found.length} ${what}`, found.length === 0);
    if (found.length > 0) this.failures.push(...found.slice(0, 5).map((one) => `  ${JSON.stringify(one)}`));
  }
}

/** The value that a share of all values does not exceed. */
export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

/** `p50 3 ms, p99 20 ms, at most 31 ms` */
export function spread(values) {
  const ms = (share) => `${Math.round(percentile(values, share))} ms`;
  return values.length === 0 ? 'none' : `p50 ${ms(0.5)}, p99 ${ms(0.99)}, at most ${ms(1)}`;
}

/** A table of how many of `seconds` fall into each `width`, from the first to the last. */
export function histogram(seconds, width) {
  const counts = new Map();
  for (const value of seconds) {
    const bin = Math.floor(value / width);
    counts.set(bin, (counts.get(bin) ?? 0) + 1);
  }
  const bins = [...counts.keys()].sort((a, b) => a - b);
  const rows = bins.map((bin) => `| ${bin * width}-${(bin + 1) * width} | ${counts.get(bin)} |`);
  return ['| Seconds | Streams |', '| --- | --- |', ...rows].join('\n');
}
