// All results of a question: a list, or a list of each language.

import { Entry } from "./entry.js";
import { nameOf, ownName, ownNameOf } from "./languages.js";
import { make } from "./make.js";
import { told } from "./words.js";

/** Write hits into an element; returns their entries in order. */
export function showHits(element, hits, page, grouped) {
  const entries = hits.map((hit) => new Entry(hit, page, { grouped }));
  if (!grouped) {
    element.replaceChildren(make("ol", { class: "list" }, entries.map((entry) => entry.element)));
    return entries;
  }
  const groups = new Map();
  for (const entry of entries) groups.set(entry.hit.lang, [...(groups.get(entry.hit.lang) ?? []), entry]);
  const sections = [...groups].map(([lang, some], i) => {
    const other = nameOf(lang) === ownNameOf(lang) ? null : make("span", { class: "group-other" }, nameOf(lang));
    const heading = make("h2", { class: "group-name", id: `group-${i}` }, ownName(lang), other);
    const list = make("ol", { class: "list" }, some.map((entry) => entry.element));
    return make("section", { class: "group", "aria-labelledby": `group-${i}` }, heading, list);
  });
  element.replaceChildren(...sections);
  return entries;
}

/** "10 passages in 4 languages". */
export function toldCount(hits) {
  const n = new Set(hits.map((hit) => hit.lang)).size;
  return told("in_languages", { n, passages: told("passages", { n: hits.length }) });
}
