// A column of the page: an index, and the questions that it has found.

import { clean } from "./marks.js";

const LEAST_SHARE = [0.1, 0.25, 0.5]; // of the match, for a word to be marked, and marked more strongly
const number = new Intl.NumberFormat("en");

export class Column {
  /**
   * place: 0 or 1. onChoice(): another index was chosen. onMark(question, text, isDuplicate): a button was pressed.
   */
  constructor(place, onChoice, onMark) {
    this.element = document.querySelector("#column").content.cloneNode(true).firstElementChild;
    this._place = place;
    this._onMark = onMark;
    this._select = this._part("select");
    this._select.addEventListener("change", onChoice);
    this.hits = []; // { text, element, buttons }, as they are shown
  }

  /** Offers the indexes; the one that was chosen stays so if it is still there. */
  offer(indexes) {
    const chosen = this._select.value;
    this._indexes = indexes;
    this._select.replaceChildren(...indexes.map((index) => new Option(index.name, index.name)));
    this._select.value = indexes.some((index) => index.name === chosen)
      ? chosen
      : indexes[Math.min(this._place, indexes.length - 1)].name;
    this._part(".index-choice").hidden = indexes.length < 2;
    this.describe();
  }

  get index() {
    return this._indexes.find((index) => index.name === this._select.value);
  }

  /** Shows the facts of the index. */
  describe() {
    const { name, questions, encoder, probabilities } = this.index;
    this.element.setAttribute("aria-label", `Found in ${name}`);
    this._part("h2").textContent = name;
    this._part("h2").classList.toggle("visually-hidden", this._indexes.length > 1);
    this._part(".facts").textContent = `${number.format(questions)} questions; ${encoder}`;
    this._part(".no-probabilities").hidden = probabilities || questions === 0;
    this._say(
      questions === 0 && "The index has no questions yet. Add some with: askagain add INDEX FILE",
    );
  }

  /** Shows an answer; null where nothing is asked. */
  show(answer, isFused) {
    const focused = this.hits.findIndex((hit) => hit.element.contains(document.activeElement));
    const button = this.hits[focused]?.buttons.indexOf(document.activeElement);
    // Where nothing of a question is known to the encoder, all cosines are 0, and the order means nothing.
    const found = (answer?.hits ?? []).filter((hit) => isFused || hit.score > 0);
    this.hits = found.map((hit, place) => this._hit(answer.question, hit, place, isFused));
    this._part(".hits").replaceChildren(...this.hits.map((hit) => hit.element));
    this.describe();
    if (answer !== null && found.length === 0 && this.index.questions > 0) {
      this._say("Nothing like it was asked here: the encoder knows none of its words.");
    }
    this.hits[focused]?.buttons[button]?.focus();
  }

  /** Shows the marks. */
  mark(marks) {
    for (const { question, text, buttons } of this.hits) {
      const mark = marks.get(question, text);
      buttons[0].setAttribute("aria-pressed", mark === true);
      buttons[1].setAttribute("aria-pressed", mark === false);
    }
  }

  /** Says at each hit at which place the other column has it. */
  link(other) {
    const places = new Map(other.hits.map((hit, place) => [clean(hit.text), place]).reverse());
    for (const hit of this.hits) {
      const place = places.get(clean(hit.text));
      hit.twin = other.hits[place] ?? null;
      const said = hit.twin === null ? "only here" : `also no. ${place + 1} of the other`;
      const chip = make("span", hit.twin === null ? "chip" : "chip chip-twin", said);
      hit.element.querySelector(".marking").append(chip);
    }
  }

  _hit(question, hit, place, isFused) {
    const element = make("li", "hit");
    const text = make("p", "text");
    text.id = `text-${this._place}-${place}`;
    text.dir = "auto"; // right-to-left where the text is
    text.append(...pieces(hit));
    const buttons = [
      ["Duplicate", true],
      ["Not a duplicate", false],
    ].map(([label, isDuplicate]) => {
      const button = make("button", isDuplicate ? "right" : "wrong", label);
      button.type = "button";
      button.setAttribute("aria-describedby", text.id);
      button.addEventListener("click", () => this._onMark(question, hit.text, isDuplicate));
      return button;
    });
    const marking = make("div", "marking");
    marking.append(...buttons);
    element.append(text, worth(hit, isFused), marking);
    return { question, text: hit.text, element, buttons };
  }

  _say(sentence) {
    const empty = this._part(".empty");
    empty.hidden = !sentence;
    empty.textContent = sentence || "";
  }

  _part(selector) {
    return this.element.querySelector(selector);
  }
}

/** The text of a hit, with the words that carried it marked. */
function pieces(hit) {
  const words = hit.words ?? [[hit.text, 0]];
  const whole = words.reduce((sum, [, share]) => sum + Math.max(share, 0), 0);
  return words.map(([piece, share]) => {
    const part = whole > 0 ? share / whole : 0;
    const strength = LEAST_SHARE.filter((least) => part >= least).length;
    if (strength === 0) return document.createTextNode(piece);
    const mark = make("mark", `share-${strength}`, piece);
    mark.title = `${percent(part)} of the match`;
    return mark;
  });
}

/** What a hit is worth: a probability where there is one, else the score. */
function worth(hit, isFused) {
  const line = make("p", "worth");
  const score = `${isFused ? "fused score" : "cosine"} ${hit.score.toFixed(2)}`;
  if (!isFused) line.append(bar(hit.probability ?? hit.score));
  if (hit.probability == null) line.append(make("strong", "", score));
  else line.append(make("strong", "", `${percent(hit.probability)} a duplicate`), make("span", "", score));
  line.append(make("span", "", `id ${hit.id}`));
  return line;
}

function bar(share) {
  const element = make("span", "bar"); // for the eye alone: the figure stands beside it
  element.setAttribute("aria-hidden", "true");
  const filled = make("span", "");
  filled.style.inlineSize = `${100 * Math.min(Math.max(share, 0), 1)}%`;
  element.append(filled);
  return element;
}

function percent(share) {
  if (share < 0.005) return "under 1\u00a0%";
  if (share > 0.995) return "over 99\u00a0%";
  return `${Math.round(100 * share)}\u00a0%`;
}

function make(tag, classes, text = "") {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  element.textContent = text; // never as HTML: titles may hold anything
  return element;
}
