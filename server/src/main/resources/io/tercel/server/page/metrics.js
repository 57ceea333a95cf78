// Prometheus' text format, read in the page.

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;

function number(text) {
  return text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text);
}

/** One reading of all figures. */
export class Metrics {
  #samples = new Map();

  constructor(text) {
    for (const line of text.split("\n")) {
      const match = line.startsWith("#") ? null : LINE.exec(line);
      if (match) {
        const labels = Object.fromEntries([...(match[2] ?? "").matchAll(LABEL)].map(([, name, value]) => [name, value]));
        const all = this.#samples.get(match[1]) ?? [];
        all.push({ labels, value: number(match[3]) });
        this.#samples.set(match[1], all);
      }
    }
  }

  /** Names that begin so, in the server's order. */
  names(prefix) {
    return [...this.#samples.keys()].filter((name) => name.startsWith(prefix));
  }

  /** The sum over all labels; null where there is no such figure. */
  value(name) {
    return this.#samples.get(name)?.reduce((sum, sample) => sum + sample.value, 0) ?? null;
  }

  /** A histogram's counts, each of all observations up to its bound; ascending. */
  buckets(name) {
    const counts = new Map();
    for (const { labels, value } of this.#samples.get(`${name}_bucket`) ?? []) {
      const bound = number(labels.le);
      counts.set(bound, (counts.get(bound) ?? 0) + value);
    }
    return [...counts].map(([bound, count]) => ({ bound, count })).sort((a, b) => a.bound - b.bound);
  }
}

/** The mean of what a histogram has observed between two readings; null where there was nothing. */
export function mean(name, before, now) {
  const count = now.value(`${name}_count`) - before.value(`${name}_count`);
  return count > 0 ? (now.value(`${name}_sum`) - before.value(`${name}_sum`)) / count : null;
}

/**
 * The bound that a share of what a histogram has observed between two readings is within; null where there was nothing. It
 * is a bucket's, and no guess at where in the bucket they are.
 */
export function within(share, name, before, now) {
  const old = before.buckets(name);
  const counts = now.buckets(name).map(({ bound, count }, i) => ({ bound, count: count - (old[i]?.count ?? 0) }));
  const all = counts.at(-1)?.count ?? 0;
  return all > 0 ? counts.find(({ count }) => count >= share * all).bound : null;
}
