// The page: searches while a question is typed, shows what is found, and keeps marks.

import { Column } from "./column.js";
import { Marks } from "./marks.js";
import { listIndexes, MOST_CHARACTERS, Refusal, search } from "./server.js";

const PAUSE = 80; // milliseconds without a key before a search
const HITS = 10;

const at = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");
const marks = new Marks();
const columns = [0, 1].map((place) => new Column(place, searchNow, mark));
let indexes = null; // that are served; null: to be asked for
let newest = null; // the AbortController of the newest search
let timer = 0; // of the next search

function searchSoon(milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(searchNow, milliseconds);
}

async function searchNow() {
  clearTimeout(timer);
  newest?.abort(); // an older answer must not come after a newer one
  const { signal } = (newest = new AbortController());
  try {
    await searchIn(signal);
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Refusal)) throw error;
    refuse(error.message);
    indexes = null; // when the server answers again, it may serve others
    if (error.retryAfter !== null) searchSoon(1000 * error.retryAfter);
  }
}

async function searchIn(signal) {
  if (indexes === null) offer(await listIndexes(signal));
  const question = wellFormed(at("question").value);
  if (question.trim() === "") {
    show([null, null]);
    return;
  }
  const characters = question.length > MOST_CHARACTERS ? [...question].length : question.length;
  if (characters > MOST_CHARACTERS) {
    const most = number.format(MOST_CHARACTERS);
    refuse(`The question has ${number.format(characters)} characters; at most ${most} can be searched for.`);
    return;
  }
  const start = performance.now();
  const asked = shown().map((column) =>
    search({ question, index: column.index.name, k: HITS, hybrid: isFused(column) }, signal),
  );
  const answers = await Promise.all(asked);
  if (signal.aborted) return;
  show(answers);
  at("latency").textContent = `in ${Math.max(1, Math.round(performance.now() - start))} ms`;
}

/** The columns that are looked at. */
function shown() {
  return columns.slice(0, indexes.length > 1 && at("compare").checked ? 2 : 1);
}

const hasSecondRanker = (column) => column.index.hybrid !== "none";
const isFused = (column) => at("hybrid").checked && hasSecondRanker(column);

function offer(served) {
  indexes = served;
  for (const column of columns) column.offer(indexes);
  at("compare-choice").hidden = indexes.length < 2;
}

/** Shows an answer in each column; null where nothing is asked. */
function show(answers) {
  const visible = shown();
  columns[1].element.hidden = visible.length < 2;
  at("columns").classList.toggle("two", visible.length > 1);
  at("hybrid-choice").hidden = !visible.some(hasSecondRanker);
  visible.forEach((column, place) => column.show(answers[place], isFused(column)));
  if (visible.length > 1 && answers[0] !== null) {
    columns[0].link(columns[1]);
    columns[1].link(columns[0]);
  }
  showMarks();
  notify("");
  const counts = visible.map((column) => column.hits.length);
  const plural = counts.at(-1) === 1 ? "question" : "questions";
  at("status").textContent = answers[0] === null ? "" : `${counts.join(" and ")} ${plural} found`;
}

/** Says why there is no answer; what was found last stays. */
function refuse(message) {
  notify(message);
  at("status").textContent = "";
}

function notify(message) {
  at("columns").setAttribute("aria-busy", false);
  at("latency").textContent = "";
  at("notice").hidden = message === "";
  if (at("notice").textContent !== message) at("notice").textContent = message; // said once, not at each try
}

function mark(question, text, isDuplicate) {
  marks.toggle(question, text, isDuplicate);
  showMarks();
}

function showMarks() {
  for (const column of columns) column.mark(marks);
  const [right, wrong] = [marks.count(true), marks.count(false)];
  const groups = marks.groups().length;
  at("marks").hidden = right + wrong === 0;
  at("marked").textContent =
    `${right} marked as duplicate, in ${groups} ${groups === 1 ? "group" : "groups"}; ${wrong} as not a duplicate`;
  at("download-groups").disabled = groups === 0;
}

function download(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: "text/tab-separated-values" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Without halves of characters, which half-typed or cut emoji leave, and which the server refuses. */
function wellFormed(text) {
  return text.toWellFormed?.() ?? text;
}

/** Makes the box as high as what is typed; style sheets bound it. */
function grow() {
  const box = at("question");
  box.style.blockSize = "auto";
  box.style.blockSize = `${box.scrollHeight + 2}px`; // its border beside
}

function keyInQuestion(event) {
  const box = at("question");
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    searchNow();
  }
  const isAtEnd = box.selectionStart === box.value.length;
  if (event.key === "ArrowDown" && !event.shiftKey && isAtEnd && columns[0].hits.length > 0) {
    event.preventDefault();
    columns[0].hits[0].buttons[0].focus();
  }
}

function keyInColumns(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const column = columns.find((one) => one.element.contains(event.target));
  const place = column?.hits.findIndex((hit) => hit.element.contains(event.target)) ?? -1;
  if (place < 0) return;
  const hit = column.hits[place];
  const button = hit.buttons.indexOf(event.target);
  const move = {
    ArrowDown: () => column.hits[place + 1]?.buttons[button],
    ArrowUp: () => column.hits[place - 1]?.buttons[button] ?? at("question"),
    ArrowRight: () => hit.buttons[button + 1] ?? beside(column, place)?.buttons[0],
    ArrowLeft: () => hit.buttons[button - 1] ?? beside(column, place)?.buttons[1],
    Escape: () => at("question"),
  }[event.key];
  const pressed = { d: hit.buttons[0], n: hit.buttons[1] }[event.key.toLowerCase()];
  if (move === undefined && pressed === undefined) return;
  event.preventDefault();
  move?.()?.focus();
  pressed?.click();
}

/** The same question in the other column, else the one at the same place. */
function beside(column, place) {
  const other = columns.find((one) => one !== column);
  return other.element.hidden ? undefined : (column.hits[place].twin ?? other.hits[place] ?? other.hits.at(-1));
}

/** Outlines the same question in the other column. */
function outline(event) {
  const hits = columns.flatMap((column) => column.hits);
  for (const { element } of hits) element.classList.remove("outlined");
  hits.find((hit) => hit.element.contains(event.target))?.twin?.element.classList.add("outlined");
}

at("columns").append(...columns.map((column) => column.element));
columns[1].element.hidden = true;
at("question").addEventListener("input", () => {
  grow();
  at("columns").setAttribute("aria-busy", true); // the last answer stays until the next one
  searchSoon(PAUSE);
});
at("question").addEventListener("keydown", keyInQuestion);
at("columns").addEventListener("keydown", keyInColumns);
document.addEventListener("focusin", outline);
document.addEventListener("mouseover", outline);
at("compare").addEventListener("change", searchNow);
at("hybrid").addEventListener("change", searchNow);
at("download-groups").addEventListener("click", () => download("train.tsv", marks.groupsFile()));
at("download-pairs").addEventListener("click", () => download("pairs.tsv", marks.pairsFile()));
at("forget").addEventListener("click", () => {
  if (!confirm("Forget all marks? What was not downloaded is lost.")) return;
  marks.forget();
  showMarks();
  at("question").focus(); // the button is gone
});
addEventListener("resize", grow);
addEventListener("storage", () => {
  marks.reload(); // another tab has marked something
  showMarks();
});
grow();
searchNow();
