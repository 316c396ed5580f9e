// The languages of the index, to choose among.

import { nameOf, ownName, ownNameOf } from "./languages.js";
import { make } from "./make.js";
import { told } from "./words.js";

/** As many languages are shown at first. */
const FIRST = 12;

export class Chips {
  /** `onchange` gets the chosen languages. */
  constructor(element, onchange) {
    this.element = element;
    this.onchange = onchange;
    this.held = [];
    this.chosen = [];
    this.is_open = false;
  }

  /** Show the languages that the index holds: `[{lang, passages}]`. */
  hold(languages) {
    this.held = languages;
    this.draw();
  }

  choose(langs) {
    this.chosen = langs;
    this.draw();
  }

  draw() {
    const held = this.held.map(({ lang }) => lang);
    // A link may name a language that this index does not hold: it is shown, so that it can be taken away.
    const all = [...this.held, ...this.chosen.filter((lang) => !held.includes(lang)).map((lang) => ({ lang, passages: 0 }))];
    if (all.length < 2 && !this.chosen.length) {
      this.element.replaceChildren();
      return;
    }
    const shown = all.filter(({ lang }, i) => this.is_open || i < FIRST || this.chosen.includes(lang));
    const focused = this.element.contains(document.activeElement) ? document.activeElement.dataset.lang : undefined;
    const chips = shown.map(({ lang, passages }) => this.chip(lang, passages));
    const every = this.toggle({ "data-lang": "" }, !this.chosen.length, () => this.change([]), told("every_language"));
    this.element.replaceChildren(every, ...chips);
    if (all.length > FIRST) this.element.append(this.opener(all.length - shown.length));
    if (focused !== undefined) this.element.querySelector(`[data-lang="${CSS.escape(focused)}"]`)?.focus();
  }

  chip(lang, passages) {
    const is_chosen = this.chosen.includes(lang);
    const change = () => this.change(is_chosen ? this.chosen.filter((one) => one !== lang) : [...this.chosen, lang]);
    const other = ownNameOf(lang) === nameOf(lang) ? null : make("span", { class: "unseen" }, ` ${nameOf(lang)}`);
    const count = make("span", { class: "count" }, make("span", { class: "unseen" }, " "), told("number", { n: passages }));
    return this.toggle({ "data-lang": lang, title: nameOf(lang) }, is_chosen, change, ownName(lang), other, count);
  }

  toggle(properties, is_on, onclick, ...children) {
    return make("button", { type: "button", class: "chip", "aria-pressed": String(is_on), onclick, ...properties }, children);
  }

  opener(n_more) {
    const open = () => {
      this.is_open = !this.is_open;
      this.draw();
      this.element.lastElementChild.focus();
    };
    const text = this.is_open ? told("fewer_languages") : told("more_languages", { n: n_more });
    return make("button", { type: "button", class: "act", "aria-expanded": String(this.is_open), onclick: open }, text);
  }

  change(langs) {
    this.choose(langs);
    this.onchange(langs);
  }
}
