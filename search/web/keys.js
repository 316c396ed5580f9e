// The page by keyboard. Keys of one letter can be switched off: some people's input methods type them by accident.

import { make } from "./make.js";
import { told } from "./words.js";

const SINGLE = "tongues-single-keys";

const LISTED = [
  ["key_box", "/"], ["key_next", "↓ ↑ j k"], ["key_context", "Enter"], ["key_cite", "c"], ["key_why", "w"], ["key_group", "g"],
  ["key_escape", "Esc"], ["key_help", "?"],
];

export class Keys {
  /** `page` gives `entries()`, `box`, `help`, and `group()`. */
  constructor(page) {
    this.page = page;
    this.at = -1;
    const list = LISTED.map(([word, keys]) => make("div", {},
      make("dt", {}, keys.split(" ").map((one) => make("kbd", {}, one))), make("dd", {}, told(word))));
    document.getElementById("keys").replaceChildren(...list);
    const single = document.getElementById("single");
    single.checked = this.has_single = stored() !== "off";
    single.addEventListener("change", () => {
      this.has_single = single.checked;
      keep(single.checked ? "on" : "off");
    });
    document.addEventListener("keydown", (event) => this.press(event));
    document.addEventListener("focusin", (event) => this.follow(event.target));
  }

  /** New results: none is the current one, and Tab goes to the first. */
  reset() {
    this.at = -1;
    const [first] = this.page.entries();
    if (first) first.article.tabIndex = 0;
  }

  /** The result that has the focus, or holds what has, is the current one. */
  follow(target) {
    const entries = this.page.entries();
    const at = entries.findIndex((entry) => entry.article.contains(target));
    if (at < 0) return;
    for (const entry of entries) entry.article.tabIndex = -1;
    entries[at].article.tabIndex = 0;
    this.at = at;
  }

  press(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (this.page.help.open) return; // the dialog has its own keys
    const target = event.target;
    const is_typing = target.matches("input, textarea, select, [contenteditable]");
    const done = is_typing ? this.pressTyping(event, target) : this.pressFree(event, target);
    if (done) event.preventDefault();
  }

  pressTyping(event, target) {
    if (target !== this.page.box) return false;
    if (event.key === "ArrowDown") return this.move(0);
    if (event.key !== "Escape") return false;
    return this.move(Math.max(this.at, 0)) || (target.blur(), true);
  }

  pressFree(event, target) {
    const entry = this.page.entries().find((one) => one.article.contains(target));
    const is_arrow = event.key === "ArrowDown" || event.key === "ArrowUp";
    if (is_arrow && (entry || target === document.body)) return this.step(event.key === "ArrowDown" ? 1 : -1);
    if (event.key === "Enter" && entry && target === entry.article) return (entry.showMore(), true);
    if (event.key === "Escape" && entry) return (entry.showLess() || (this.page.box.focus(), true), true);
    if (event.key.length > 1 || !this.has_single || event.repeat && !"jk".includes(event.key)) return false;
    const of_page = {
      "/": () => this.page.box.select(), "?": () => this.page.help.showModal(), g: () => this.page.group(),
      j: () => this.step(1), k: () => this.step(-1),
    };
    const of_entry = { c: () => entry.copyCitation(), w: () => entry.explain() };
    const act = of_page[event.key] ?? (entry && of_entry[event.key]);
    if (!act) return false;
    if (event.key === "/") this.page.box.focus();
    act();
    return true;
  }

  /** Go to the next result or the one before; up from the first one to the question. */
  step(by) {
    if (this.at + by < 0) {
      this.page.box.focus();
      this.at = -1;
      return true;
    }
    return this.move(this.at + by);
  }

  move(at) {
    const entry = this.page.entries()[at];
    if (!entry) return false;
    entry.article.focus({ preventScroll: true });
    entry.element.scrollIntoView({ block: "nearest" });
    return true;
  }
}

function stored() {
  try {
    return localStorage.getItem(SINGLE);
  } catch {
    return null;
  }
}

function keep(value) {
  try {
    localStorage.setItem(SINGLE, value);
  } catch {
    // It holds until the page is left.
  }
}
