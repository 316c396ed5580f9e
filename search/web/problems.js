// What is shown when there is nothing to show: what happened, and how to mend it.

import { key } from "./api.js";
import { isolated, make } from "./make.js";
import { told } from "./words.js";

/** As often the page asks a busy server again by itself. */
const TRIES = 5;
/** Seconds between two tries where the server names none. */
const WAIT = 2;

export class Problems {
  /** `again()` asks the last question anew; `change(part_of_state)` asks it another way. */
  constructor(element, { again, change }) {
    this.element = element;
    this.again = again;
    this.change = change;
    this.tries = 0;
    this.timer = 0;
  }

  /** Take it away; `for_good` where an answer came. */
  clear(for_good = false) {
    clearTimeout(this.timer);
    if (for_good) this.tries = 0;
    this.element.hidden = true;
    this.element.replaceChildren();
  }

  show(problem, state) {
    clearTimeout(this.timer);
    const told_by_kind = { key: () => this.askKey(), busy: () => this.wait("busy"), loading: () => this.wait("loading") };
    const tell = told_by_kind[problem.kind] ?? (() => this.tell(problem, state));
    this.seconds = problem.wait || WAIT;
    tell();
  }

  put(title, ...children) {
    this.element.replaceChildren(make("h2", { id: "problem-title" }, told(title)), ...children);
    this.element.hidden = false;
  }

  button(word, onclick) {
    return make("button", { type: "button", class: "act strong", onclick }, told(word));
  }

  tell(problem, state) {
    const how = problem.message || told(`${problem.kind}_how`);
    const buttons = [this.button("again", this.again)];
    if (problem.kind === "refused" && state.lang.length) {
      buttons.unshift(this.button("in_all", () => this.change({ lang: [] })));
    }
    this.put(problem.kind, make("p", {}, isolated(how)), make("div", { class: "actions" }, buttons));
  }

  wait(kind) {
    this.tries += 1;
    const again = make("div", { class: "actions" }, this.button("again", this.again));
    if (this.tries > TRIES) {
      this.tries = 0;
      this.put(kind, make("p", {}, told("busy_still")), again);
      return;
    }
    const how = make("p", {}, told("busy_how", { n: this.seconds }));
    this.put(kind, how, again);
    const tick = (left) => {
      how.textContent = told("busy_how", { n: left });
      this.timer = setTimeout(() => (left > 1 ? tick(left - 1) : this.again()), 1000);
    };
    tick(this.seconds);
  }

  askKey() {
    const was_wrong = Boolean(key.get());
    const input = make("input", {
      id: "key", type: "password", required: true, autocomplete: "off", spellcheck: false, dir: "ltr", "aria-describedby": "key-how",
    });
    const onsubmit = (event) => {
      event.preventDefault();
      const value = input.value.trim();
      // A header holds nothing else; such a key cannot be the right one.
      if (!/^[\x21-\x7e]+$/.test(value)) {
        how.textContent = told("key_wrong");
        return;
      }
      key.set(value);
      this.again();
    };
    const how = make("p", { id: "key-how" }, told(was_wrong ? "key_wrong" : "key_how"));
    const form = make("form", { class: "key-form", onsubmit },
      make("label", { htmlFor: "key" }, told("key_label")), input,
      make("button", { type: "submit", class: "act strong" }, told("key_use")));
    this.put("key_wanted", how, form);
    input.focus();
  }

  /** No hits: why, and another way to ask. */
  nothing(state, n_passages) {
    const tell = (why, ...buttons) => this.put("nothing", make("p", {}, told(why)), make("div", { class: "actions" }, buttons));
    if (n_passages === 0) this.put("empty_index", make("p", {}, told("nothing_at_all")));
    else if (state.mode === "lexical") tell("nothing_lexical", this.button("by_meaning", () => this.change({ mode: "hybrid" })));
    else if (state.lang.length) tell("nothing_filtered", this.button("in_all", () => this.change({ lang: [] })));
    else this.put("nothing", make("p", {}, told("nothing_at_all")));
  }
}
