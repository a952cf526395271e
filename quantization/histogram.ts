/**
 * A histogram of values whose range is not known before.
 *
 * @module
 */

const BINS = 4096; // a byte has at least eight of them, since the reach is less than twice the most

/** Counts values in bins over [-reach, reach); the reach doubles as values ask for it. */
export class Histogram {
  #counts = new Float64Array(BINS);
  #reach = 0;
  #low = Infinity;
  #high = -Infinity;

  /** Counts more values, all of them finite. */
  add(values: Float32Array): void {
    let [low, high] = [this.#low, this.#high];
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    [this.#low, this.#high] = [low, high];
    this.#widen(Math.max(-low, high, 1e-20));
    const counts = this.#counts;
    const [pace, middle] = [BINS / 2 / this.#reach, BINS / 2];
    for (const value of values) {
      const bin = (value * pace + middle) | 0; // never negative
      counts[bin] = (counts[bin] ?? 0) + 1;
    }
  }

  #widen(most: number): void {
    if (this.#reach === 0) this.#reach = 2 ** (Math.floor(Math.log2(most)) + 1);
    while (this.#reach <= most) {
      const wide = new Float64Array(BINS);
      this.#counts.forEach((count, bin) => {
        const at = BINS / 4 + (bin >> 1);
        wide[at] = (wide[at] ?? 0) + count;
      });
      this.#counts = wide;
      this.#reach *= 2;
    }
  }

  /** The least and the greatest value. */
  get ends(): readonly [low: number, high: number] {
    return [this.#low, this.#high];
  }

  /** The bins that hold values: their middles and counts, from the least. */
  bins(): { readonly middle: number; readonly count: number }[] {
    const width = 2 * this.#reach / BINS;
    return [...this.#counts].flatMap((count, bin) =>
      count === 0 ? [] : [{ middle: (bin + 0.5) * width - this.#reach, count }]
    );
  }
}
