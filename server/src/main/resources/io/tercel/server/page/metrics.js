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

/**
 * A quantile of what a histogram has observed between two readings, linear within a bucket; null where there was nothing.
 */
export function quantile(q, before, now) {
  const counts = now.map(({ bound, count }, i) => ({ bound, count: count - (before[i]?.count ?? 0) }));
  const all = counts.at(-1)?.count ?? 0;
  if (all <= 0) {
    return null;
  }
  const rank = q * all;
  const i = counts.findIndex(({ count }) => count >= rank);
  const low = i === 0 ? { bound: 0, count: 0 } : counts[i - 1];
  if (counts[i].bound === Infinity) {
    return low.bound; // at least
  }
  return low.bound + ((counts[i].bound - low.bound) * (rank - low.count)) / (counts[i].count - low.count);
}
