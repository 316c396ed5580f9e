// The page: a question, the languages to search, what was found. Everything shown is in the address.

import { ask, key } from "./api.js";
import { Chips } from "./chips.js";
import { Keys } from "./keys.js";
import { nameOf, OWN, ownName, ownNameOf } from "./languages.js";
import { make } from "./make.js";
import { Problems } from "./problems.js";
import { showHits, toldCount } from "./results.js";
import { asked, COUNTS, COUNTS_EACH, readState, writeState } from "./state.js";
import { themeButton } from "./theme-button.js";
import { fillWords, told, toldNodes } from "./words.js";

/** Passages of each language when results are grouped. */
const EACH = 3;
/** Milliseconds after which a search that has not answered is told of. */
const SLOW = 300;

const at = (id) => document.getElementById(id);
const [box, seen, found, results, status, took] = ["q", "seen", "found", "results", "status", "took"].map(at);
let state = readState(location.search);
let entries = [];
let held = null; // what the index holds, as /languages tells
let running = new AbortController();
let explanation = null; // the words of all hits, asked once for a question

fillWords(document);
Object.assign(document.documentElement, OWN);
box.placeholder = told("placeholder");
themeButton(at("theme"));
const chips = new Chips(at("chips"), (lang) => change({ lang }));
const problems = new Problems(at("problem"), { again: () => run(), change });
const keys = new Keys({ entries: () => entries, box, help: at("help"), group });
const page = { explained, say, failed: (problem) => problems.show(problem, state) };

/** Show a state in the controls. */
function showState() {
  box.value = state.q;
  chips.choose(state.lang);
  at("group").setAttribute("aria-checked", String(state.group > 0));
  at("mode").value = state.mode;
  at("balance").value = state.balance;
  showCounts();
  at("many-label").textContent = told(state.group ? "how_many_each" : "how_many");
  document.title = state.q ? `${state.q} – manytongues` : "manytongues";
}

/** Offer the counts that the server gives. */
function showCounts() {
  const [many, counts] = state.group ? [state.group, COUNTS_EACH] : [state.k, COUNTS];
  const most = held?.limits?.[state.group ? "per_language" : "k"] ?? Infinity;
  const all = [...new Set([...counts.filter((n) => n <= most), many])].sort((a, b) => a - b);
  at("many").replaceChildren(...all.map((n) => make("option", { value: n, selected: n === many }, told("number", { n }))));
}

/** Ask with another state, as a new entry of the history. */
function change(changes) {
  const typed = box.value.trim();
  state = { ...state, ...(typed && state.q ? { q: typed } : {}), ...changes };
  const address = writeState(state);
  if (address !== (location.search || location.pathname)) history.pushState(null, "", address);
  showState();
  scrollTo(0, 0);
  run();
}

function group() {
  change({ group: state.group ? 0 : EACH });
}

/** Ask what the state says. The latest question wins: one still running is given up. */
async function run() {
  running.abort();
  const mine = (running = new AbortController());
  problems.clear();
  explanation = null;
  at("forget").hidden = !key.get();
  const holding = held ? null : holdings(mine.signal);
  if (!state.q) {
    await holding;
    if (!mine.signal.aborted) showHome();
    return;
  }
  document.documentElement.dataset.view = "results";
  results.setAttribute("aria-busy", "true");
  const slow = setTimeout(() => {
    status.textContent = told("searching");
    took.textContent = "";
  }, SLOW);
  try {
    showAnswer(await ask("search", asked(state), mine.signal));
  } catch (problem) {
    if (mine.signal.aborted) return;
    showProblem(problem);
  } finally {
    clearTimeout(slow);
    if (running === mine) results.removeAttribute("aria-busy");
  }
}

function showAnswer(answer) {
  problems.clear(true);
  entries = showHits(found, answer.hits, page, state.group > 0);
  keys.reset();
  showSeen(answer.lang);
  showNotice(answer.notice);
  status.textContent = answer.hits.length ? toldCount(answer.hits) : told("nothing");
  took.textContent = told("took", { n: answer.took_ms < 10 ? Math.round(answer.took_ms * 10) / 10 : Math.round(answer.took_ms) });
  if (!answer.hits.length) problems.nothing(state, held?.passages);
}

function showProblem(problem) {
  if (!problem.kind) throw problem;
  forgetResults();
  problems.show(problem, state);
  status.textContent = at("problem-title")?.textContent ?? "";
}

function forgetResults() {
  entries = [];
  found.replaceChildren();
  status.textContent = "";
  took.textContent = "";
  showSeen("");
  showNotice("");
}

function showHome() {
  document.documentElement.dataset.view = "home";
  forgetResults();
  if (held?.passages === 0) problems.nothing(state, 0);
}

function showNotice(notice) {
  at("notice").textContent = notice ?? "";
  at("notice").hidden = !notice;
}

/** Show the language that the question was seen to be in. */
function showSeen(lang) {
  seen.hidden = !lang || lang === "und";
  if (seen.hidden) return;
  seen.title = nameOf(lang);
  const unseen = (node) => (node instanceof Element ? node : make("span", { class: "unseen" }, node));
  const other = nameOf(lang) === ownNameOf(lang) ? [] : [unseen(document.createTextNode(` (${nameOf(lang)})`))];
  seen.replaceChildren(...toldNodes("seen", { lang: ownName(lang) }).map(unseen), ...other);
}

/** Ask what the index holds; a search tells of what goes wrong with it too, so only a page without one does here. */
async function holdings(signal) {
  try {
    held = await ask("languages", {}, signal);
  } catch (problem) {
    if (!state.q && !signal.aborted) showProblem(problem);
    return;
  }
  chips.hold(held.languages);
  showCounts();
  const documents = told("documents", { n: held.documents });
  at("holdings").textContent = told("holdings", { n: held.passages, documents });
  at("holdings").hidden = false;
}

/** A hit with the words it shares with the question: asked when first wanted. */
async function explained(hit) {
  explanation ??= ask("search", { ...asked(state), explain: "true" }, running.signal);
  try {
    const answer = await explanation;
    return answer.hits.find((one) => one.passage_id === hit.passage_id) ?? hit;
  } catch (problem) {
    explanation = null;
    throw problem;
  }
}

let fading = 0;
function say(text) {
  const toast = at("toast");
  toast.textContent = text;
  clearTimeout(fading);
  fading = setTimeout(() => (toast.textContent = ""), 4000);
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const q = box.value.trim();
  if (q) change({ q });
  else say(told("empty_question"));
});
box.addEventListener("input", () => showSeen(""));
at("group").addEventListener("click", group);
for (const name of ["mode", "balance"]) at(name).addEventListener("change", () => change({ [name]: at(name).value }));
at("many").addEventListener("change", () => change({ [state.group ? "group" : "k"]: Number(at("many").value) }));
document.addEventListener("click", (event) => at("ranking").contains(event.target) || (at("ranking").open = false));
at("ranking").addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !at("ranking").open) return;
  at("ranking").open = false;
  at("ranking").firstElementChild.focus();
});
at("home").addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  box.value = "";
  change({ q: "", lang: [], group: 0 });
  box.focus();
});
at("help-open").addEventListener("click", () => at("help").showModal());
at("help-close").addEventListener("click", () => at("help").close());
at("help").addEventListener("click", (event) => event.target === at("help") && at("help").close());
at("forget").addEventListener("click", () => {
  key.set("");
  say(told("key_forgotten"));
  held = null;
  chips.hold([]);
  at("holdings").hidden = true;
  run();
});
addEventListener("popstate", () => {
  const next = readState(location.search);
  if (writeState(next) === writeState(state)) return; // a place within the page, as the skip link's
  state = next;
  showState();
  run();
});

showState();
run();
if (!state.q) box.focus();
