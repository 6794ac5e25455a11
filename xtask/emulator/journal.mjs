// What was asked of the emulator: one entry for each request, in order of arrival, without a word of any token.

const KEPT = 20_000;

/** The journal. */
export class Journal {
  #entries = [];
  #seq = 0;

  /** Opens an entry; the caller completes `status` and `ms` when the answer is out. */
  open(fields) {
    const entry = { seq: (this.#seq += 1), time: new Date().toISOString(), ...fields, status: null, ms: null };
    this.#entries.push(entry);
    if (this.#entries.length > KEPT) this.#entries.splice(0, this.#entries.length - KEPT);
    return entry;
  }

  /** The entries after number `seq`. */
  since(seq) {
    return this.#entries.filter((entry) => entry.seq > seq);
  }

  /** Forgets the entries; numbering goes on. */
  clear() {
    this.#entries = [];
  }

  get seq() {
    return this.#seq;
  }
}
