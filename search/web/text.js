// Offsets, stitching and lines. The server counts characters as Python does: code points, not UTF-16 units.

import { told } from "./words.js";

/** The UTF-16 position of a code point, at most the text's length. */
export function unitAt(text, point) {
  let unit = 0;
  for (let n = 0; n < point && unit < text.length; n++) unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
  return unit;
}

/** The text from one code point to before another. */
export function cut(text, from, to) {
  const begin = unitAt(text, Math.max(0, from));
  return text.slice(begin, begin + unitAt(text.slice(begin), Math.max(0, to - Math.max(0, from))));
}

/**
 * The passages around one, as they follow each other in the document: nothing twice, the one in the middle whole.
 *
 * Each piece is `{passage, start, text, gap}`; `gap` counts the characters that lie between it and the piece before.
 */
export function stitch(middle) {
  const pieces = [{ passage: middle, start: middle.start, text: middle.text, gap: 0 }];
  for (const passage of [...middle.before].reverse()) {
    const next = pieces[0];
    const text = cut(passage.text, 0, next.start - passage.start);
    if (!text) continue; // it lies within what is shown
    next.gap = Math.max(0, next.start - passage.end);
    pieces.unshift({ passage, start: passage.start, text, gap: 0 });
  }
  let end = middle.end;
  for (const passage of middle.after) {
    if (passage.end <= end) continue;
    const start = Math.max(end, passage.start);
    pieces.push({ passage, start, text: cut(passage.text, start - passage.start, Infinity), gap: start - end });
    end = passage.end;
  }
  return pieces;
}

const LINE = /\r\n|\n|\r/;
/** What begins a line that stands for itself: headings, list items, tables, quotations. */
const OWN_LINE = /^\s*(#{1,6}\s|[-*+•–|>]|\p{Nd}{1,3}[.)]\s)/u;
const HEADING = /^(#{1,6}\s+)(\S.*)$/;
/** Lines from so many characters on, up to so many, were broken by an editor and not by the author. */
const WRAPPED = [50, 110];

/**
 * Cut a text into `{kind, text}` that together are the text: `text`, `heading`, `hash` (the mark of a heading), `gap`
 * (blank lines), `soft` (a line end that only wraps), `hard` (another one), `said` (a first line that is the title).
 */
export function tokens(text, title = "") {
  const found = [];
  const parts = text.split(/((?:\r\n|\n|\r)(?:[^\S\r\n]*(?:\r\n|\n|\r))*)/);
  for (let i = 0; i < parts.length; i += 2) {
    const line = parts[i];
    const end = parts[i + 1] ?? "";
    const heading = HEADING.exec(line);
    const is_title = i === 0 && end && title && (heading ? heading[2] : line).trim() === title.trim();
    if (is_title) {
      found.push({ kind: "said", text: line + end });
      continue;
    }
    if (heading) found.push({ kind: "hash", text: heading[1] }, { kind: "heading", text: heading[2] });
    else if (line) found.push({ kind: "text", text: line });
    if (end) found.push({ kind: kindOfEnd(line, end, parts[i + 2] ?? "", heading), text: end });
  }
  return found;
}

function kindOfEnd(line, end, next, heading) {
  if (end.split(LINE).length > 2) return "gap";
  const wraps = line.length >= WRAPPED[0] && line.length <= WRAPPED[1] && next && !heading && !OWN_LINE.test(next);
  return wraps ? "soft" : "hard";
}

/**
 * Write a text into an element, unchanged, part of it marked.
 *
 * `from` and `to` are code points within the text; no mark when they are equal.
 */
export function writeText(element, text, { from = 0, to = 0, title = "" } = {}) {
  const [begin, end] = [unitAt(text, from), unitAt(text, to)];
  const mark = document.createElement("mark");
  let at = 0;
  for (const token of tokens(text, title)) {
    const after = at + token.text.length;
    const within = (unit) => Math.min(Math.max(unit, at), after);
    const borders = [at, within(begin), within(end), after];
    const touched = borders[2] > borders[1];
    const kind = token.kind === "said" && touched ? "text" : token.kind; // what is marked is shown
    [element, mark, element].forEach((parent, i) => {
      const part = text.slice(borders[i], borders[i + 1]);
      if (!part) return;
      if (parent === mark && !mark.parentNode) element.append(mark);
      parent.append(kind === "text" ? part : span(kind, part));
    });
    at = after;
  }
  return mark.parentNode ? mark : null;
}

function span(kind, text) {
  const one = document.createElement("span");
  one.className = kind;
  one.textContent = text;
  return one;
}

const LOCATOR = /^(?:(page|slide|chapter)=([0-9]{1,9})|t=([0-9]{1,9})(?:\.[0-9]{1,6})?)$/;

/** A locator for people: "p. 3", "slide 4", "ch. 2", "1:01"; "" for what is none. */
export function toldLocator(locator) {
  const [, kind, number, time] = LOCATOR.exec(locator ?? "") ?? [];
  if (kind) return told(`at_${kind}`, { n: String(Number(number)) });
  if (time === undefined) return "";
  const all = Number(time);
  const [hours, minutes, seconds] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  const two = (n) => String(n).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

/** A document by name: its file, and its id where the file does not say it. */
export function placeOf({ source, doc_id: id }) {
  return !id || source === id || source.endsWith(`/${id}`) ? source : `${source} ${id}`;
}

/** A citation: what was said, in what, where. Each on a line of its own, so that no direction disturbs another. */
export function citation(hit) {
  const [from, to] = hit.highlight;
  const quoted = cut(hit.text, from - hit.start, to - hit.start).trim() || hit.text.trim();
  const where = [placeOf(hit), toldLocator(hit.locator)].filter(Boolean).join(", ");
  return [`“${quoted.replace(/\s+/g, " ")}”`, hit.title, where].filter(Boolean).join("\n");
}
