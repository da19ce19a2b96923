// Marks of the person at the page, which pairs are duplicates and which are not, and the training files made of them.

// Pages below other paths of this address may be other servers' pages: each has its own marks.
const KEY = `askagain.marks:${location.pathname}`;
const SEPARATORS = /[\s\u0000-\u001f\u007f-\u009f]+/gu; // would end a cell or a line of a TSV file

export const clean = (text) => text.replace(SEPARATORS, " ").trim();

export class Marks {
  constructor() {
    this._pairs = read(); // [question, text] as JSON -> whether they are duplicates
  }

  /** Whether a pair is marked as duplicates; undefined where it is not marked. */
  get(question, text) {
    return this._pairs.get(key(question, text));
  }

  /** Marks a pair, or takes back the same mark. */
  toggle(question, text, isDuplicate) {
    this.reload();
    const pair = key(question, text);
    if (this._pairs.get(pair) === isDuplicate) this._pairs.delete(pair);
    else this._pairs.set(pair, isDuplicate);
    this._write();
  }

  forget() {
    this._pairs.clear();
    this._write();
  }

  /** Takes up what another tab has marked. */
  reload() {
    this._pairs = read() ?? this._pairs;
  }

  count(isDuplicate) {
    return [...this._pairs.values()].filter((one) => one === isDuplicate).length;
  }

  /** Lines of train.tsv: texts that were marked as duplicates of one another, directly or through others. */
  groups() {
    let groups = [];
    for (const [pair, isDuplicate] of this._pairs) {
      if (!isDuplicate) continue;
      const texts = JSON.parse(pair);
      const joined = groups.filter((group) => texts.some((text) => group.has(text)));
      const group = new Set([...joined.flatMap((one) => [...one]), ...texts]);
      groups = [...groups.filter((one) => !joined.includes(one)), group];
    }
    return groups.filter((group) => group.size > 1).map((group) => [...group]);
  }

  groupsFile() {
    return file(this.groups());
  }

  /** All marks as pairs with a label, as `askagain convert groups` reads them. */
  pairsFile() {
    const pairs = [...this._pairs].map(([pair, isDuplicate]) => [...JSON.parse(pair), isDuplicate ? "1" : "0"]);
    return file([["question1", "question2", "is_duplicate"], ...pairs]);
  }

  _write() {
    try {
      localStorage.setItem(KEY, JSON.stringify([...this._pairs]));
    } catch {
      // Storage is off or full: the marks last as long as the page.
    }
  }
}

function read() {
  try {
    return new Map(JSON.parse(localStorage.getItem(KEY) ?? "[]"));
  } catch {
    return new Map();
  }
}

const key = (question, text) => JSON.stringify([clean(question), clean(text)]);

const file = (rows) => rows.map((cells) => `${cells.join("\t")}\n`).join("");
