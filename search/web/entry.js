// One result: where it is from, its text with the closest sentence marked, and what can be done with it.

import { ask } from "./api.js";
import { nameOf, OWN, ownName, speak } from "./languages.js";
import { copy, isolated, make } from "./make.js";
import { citation, placeOf, stitch, toldLocator, writeText } from "./text.js";
import { locale, told } from "./words.js";

/** A passage that is one sentence longer than this is not marked as a whole: nothing would stand out. */
const LONGEST_WHOLE_MARK = 400;
/** Characters between two passages that are more than the blank lines there. */
const LEFT_OUT = 4;
const DOT = " · ";
/** What the server answers to a number above its limit. */
const BEYOND_LIMIT = 422;

let number_of_entries = 0;
const score = new Intl.NumberFormat(locale, { minimumFractionDigits: 3, maximumFractionDigits: 3 });
const part = new Intl.NumberFormat(locale, {
  minimumFractionDigits: 3, maximumFractionDigits: 3, signDisplay: "exceptZero",
});

export class Entry {
  /**
   * `page` gives `explained(passage_id)`, a promise of the hit with its words, `say(text)` and `failed(problem)`.
   */
  constructor(hit, page, { grouped = false } = {}) {
    this.hit = hit;
    this.page = page;
    this.context = 0;
    const id = `result-${++number_of_entries}`;
    this.text = make("div", { class: "passage" });
    this.title = make("h3", { class: "title", id: `${id}-title` }, isolated(hit.title || hit.source.split(/[/\\]/).at(-1)));
    this.more = this.button("more_context", () => this.showMore(), { class: "act more" });
    this.less = this.button("less_context", () => this.showLess(), { hidden: true });
    this.why = this.button("why", () => this.explain(), { "aria-expanded": "false", "aria-controls": `${id}-why` });
    this.cite = this.button("cite", () => this.copyCitation());
    this.reasons = make("div", { class: "reasons", id: `${id}-why`, hidden: true, ...OWN });
    this.trouble = make("p", { class: "trouble", ...OWN, role: "status" });
    const actions = make("div", { class: "actions" }, this.more, this.less, this.cite, this.why);
    this.article = speak(
      make(
        "article",
        { class: "entry", tabIndex: -1, "aria-labelledby": `${id}-rank ${id}-title`, "data-passage": hit.passage_id },
        this.title, this.text,
        make("div", { class: "below", ...OWN }, this.where(), actions),
        this.reasons, this.trouble,
      ),
      hit.lang,
    );
    this.element = make("li", { class: "row" }, this.spine(id, grouped), this.article);
    this.write([{ passage: hit, text: hit.text, gap: 0 }]);
  }

  button(word, onclick, properties = {}) {
    return make("button", { type: "button", class: "act", onclick, ...properties }, told(word));
  }

  spine(id, grouped) {
    const badge = make("span", { class: "badge", title: nameOf(this.hit.lang) }, ownName(this.hit.lang));
    const value = score.format(this.hit.score);
    return make(
      "div",
      { class: "spine" },
      make("span", { class: "rank", id: `${id}-rank` }, make("span", { class: "unseen" }, told("rank", { n: this.hit.rank })),
        make("span", { "aria-hidden": "true" }, String(this.hit.rank))),
      grouped ? null : badge,
      make("span", { class: "score", title: told("about_scores") },
        make("span", { class: "unseen" }, told("score", { n: "" })), value),
    );
  }

  where() {
    const { hit } = this;
    const locator = toldLocator(hit.locator);
    const parts = sourceOf(hit);
    if (locator) parts.push(DOT, make("span", { class: "locator" }, locator));
    const others = hit.n_places - 1;
    const line = make("div", { class: "where" }, parts);
    if (others < 1) return line;
    const rest = others - hit.also_in.length;
    const list = hit.also_in.map((place) => {
      const title = place.title && place.title !== hit.title ? [isolated(place.title), " "] : [];
      return make("li", {}, title, sourceOf(place));
    });
    if (rest > 0) list.push(make("li", {}, told("also_rest", { n: rest })));
    line.append(make("details", { class: "also" }, make("summary", {}, told("also_in", { n: others })), make("ul", {}, list)));
    return line;
  }

  write(pieces) {
    const { hit } = this;
    const [from, to] = hit.highlight.map((offset) => offset - hit.start);
    const whole = from <= 0 && to - from >= [...hit.text].length && hit.text.length > LONGEST_WHOLE_MARK;
    const alone = pieces.length === 1;
    let locator = pieces[0].passage.locator;
    const shown = pieces.flatMap(({ passage, text, gap }, i) => {
      const is_hit = passage.passage_id === hit.passage_id && passage.start === hit.start;
      const piece = make("div", { class: is_hit ? "piece own" : "piece around" });
      if (passage.lang !== hit.lang) speak(piece, passage.lang);
      const marked = is_hit && !whole ? { from, to } : {};
      writeText(piece, text, { ...marked, title: alone || i === 0 ? hit.title : "" });
      const between = [];
      if (i && gap > LEFT_OUT) between.push(make("div", { class: "left-out", title: told("gap") }, "…"));
      if (i && passage.locator && passage.locator !== locator) {
        between.push(make("div", { class: "at", ...OWN }, toldLocator(passage.locator)));
        locator = passage.locator;
      }
      return [...between, piece];
    });
    this.text.replaceChildren(...shown);
    this.text.classList.toggle("in-context", !alone);
  }

  async showMore() {
    if (this.more.getAttribute("aria-disabled") === "true") return;
    const wanted = this.context + 1;
    this.trouble.textContent = "";
    this.article.setAttribute("aria-busy", "true");
    try {
      const found = await ask(`passages/${encodeURIComponent(this.hit.passage_id)}`, { context: wanted });
      if (wanted !== this.context + 1 || !this.element.isConnected) return; // asked twice, or gone meanwhile
      this.context = wanted;
      this.write(stitch({ ...found, start: this.hit.start, end: this.hit.end, text: this.hit.text }));
      this.less.hidden = false;
      if (found.before.length < wanted && found.after.length < wanted) this.noMore("all_context");
    } catch (problem) {
      if (problem.status === BEYOND_LIMIT && this.context) this.noMore("most_context");
      else this.fail(problem);
    } finally {
      this.article.removeAttribute("aria-busy");
    }
  }

  /** Say why there is no more; the button stays, so that the focus does. */
  noMore(word) {
    this.more.setAttribute("aria-disabled", "true");
    this.more.textContent = told(word);
  }

  /** Show the passage alone again; whether there was more. */
  showLess() {
    if (!this.context) return false;
    this.context = 0;
    this.write([{ passage: this.hit, text: this.hit.text, gap: 0 }]);
    this.more.setAttribute("aria-disabled", "false");
    this.more.textContent = told("more_context");
    if (document.activeElement === this.less) this.more.focus();
    this.less.hidden = true;
    return true;
  }

  async copyCitation() {
    const text = citation(this.hit);
    if (await copy(text)) {
      this.page.say(told("copied"));
      return;
    }
    const area = make("textarea", { class: "by-hand", value: text, readOnly: true, rows: 4, dir: "auto", "aria-label": told("citation") });
    this.trouble.replaceChildren(told("copy_by_hand"), area);
    area.select();
  }

  async explain() {
    const open = this.reasons.hidden;
    this.why.setAttribute("aria-expanded", String(open));
    this.reasons.hidden = !open;
    if (!open || this.reasons.childElementCount) return;
    this.trouble.textContent = "";
    try {
      this.reasons.replaceChildren(...reasonsOf(await this.page.explained(this.hit)));
    } catch (problem) {
      this.reasons.hidden = true;
      this.why.setAttribute("aria-expanded", "false");
      this.fail(problem);
    }
  }

  fail(problem) {
    if (problem.name === "AbortError") return;
    if (!problem.kind) throw problem;
    if (problem.kind === "key") this.page.failed(problem);
    else this.trouble.textContent = problem.message || told(problem.kind);
  }
}

/** The file, and the document in it where the file does not say it. */
function sourceOf(place) {
  const file = isolated(place.source, { class: "source" });
  const id = placeOf(place) === place.source ? [] : [DOT, isolated(place.doc_id)];
  return [file, ...id];
}

function reasonsOf(hit) {
  const sum = hit.dense + hit.balance + hit.lexical;
  const rows = [
    ["meaning", score.format(hit.dense), hit.dense], ["balance_part", part.format(hit.balance), hit.balance],
    ["words_part", part.format(hit.lexical), hit.lexical], ["together", score.format(hit.score), hit.score],
  ];
  const most = Math.max(...rows.map(([, , value]) => Math.abs(value)), 1e-9);
  const table = make("table", {}, make("tbody", {}, rows.map(([word, value, size]) => {
    const bar = make("span", { class: size < 0 ? "bar under" : "bar" });
    bar.style.inlineSize = `${Math.round((100 * Math.abs(size)) / most)}%`;
    const cell = make("td", { class: "bars", "aria-hidden": "true" }, bar);
    return make("tr", { class: word }, make("th", { scope: "row" }, told(word)), make("td", { class: "value" }, value), cell);
  })));
  const terms = hit.terms.length
    ? make("ul", { class: "terms" }, hit.terms.map((term) => speak(make("li", {}, isolated(term)), hit.lang)))
    : told("no_shared_words");
  const facts = [[told("shared_words"), terms]];
  for (const [name, value] of Object.entries(hit.metadata ?? {})) {
    facts.push([isolated(name), isolated(typeof value === "string" ? value : JSON.stringify(value))]);
  }
  const list = make("dl", {}, facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  const place = make("p", { class: "small" }, told("place", { start: hit.start, end: hit.end }));
  const reranked = Math.abs(sum - hit.score) > 1e-3 ? [make("p", { class: "small" }, told("reranked"))] : [];
  return [table, ...reranked, list, place];
}
