// Every string of the page. To add a language: copy `en`, translate, add it to `all`.

const en = {
  skip: "Skip to results",
  tagline: "Ask in one language, find in all.",
  question: "Your question",
  placeholder: "Ask in any language",
  search: "Search",
  help: "Keys",
  close: "Close",
  languages: "Languages to search",
  every_language: "All",
  more_languages: "{n} more",
  fewer_languages: "Fewer",
  unknown_language: "Unknown language",
  group: "Group by language",
  ranking: "Ranking",
  mode: "Ranked by",
  mode_hybrid: "meaning and words",
  mode_dense: "meaning alone",
  mode_lexical: "words alone",
  balance: "Languages",
  balance_auto: "balanced",
  balance_off: "as the model has them",
  balance_full: "evened out wholly",
  how_many: "Passages",
  how_many_each: "Of each language",
  results: "Results",
  holdings: { one: "{n} passage of {documents}", other: "{n} passages of {documents}" },
  documents: { one: "{n} document", other: "{n} documents" },
  passages: { one: "{n} passage", other: "{n} passages" },
  in_languages: { one: "{passages} in {n} language", other: "{passages} in {n} languages" },
  searching: "Searching…",
  number: "{n}",
  seen: "Question in {lang}",
  took: "{n} ms",
  theme_system: "Theme: system",
  theme_light: "Theme: light",
  theme_dark: "Theme: dark",

  rank: "Result {n}",
  score: "Score {n}",
  more_context: "More context",
  less_context: "Less",
  all_context: "No more text around it",
  most_context: "That is the most around it",
  cite: "Copy citation",
  copied: "Citation copied.",
  copy_by_hand: "The browser did not let the page copy. The citation is selected: press Ctrl+C or ⌘C.",
  citation: "Citation",
  why: "Why this?",
  also_in: { one: "Also in {n} other place", other: "Also in {n} other places" },
  also_rest: { one: "and {n} more", other: "and {n} more" },
  gap: "text left out",
  at_page: "p. {n}",
  at_slide: "slide {n}",
  at_chapter: "ch. {n}",
  meaning: "Meaning",
  balance_part: "Balance of languages",
  words_part: "Words",
  together: "Score",
  reranked: "A cross-encoder gave the score; the parts above are those before it.",
  shared_words: "Words it shares with the question",
  no_shared_words: "none",
  place: "Characters {start}–{end} of the document",

  shortcuts: "Keys",
  key_box: "to the question",
  key_next: "next, previous result",
  key_context: "more context of a result",
  key_cite: "copy its citation",
  key_why: "why it was found",
  key_group: "group by language",
  key_escape: "less context; back to the results; close",
  key_help: "this list",
  single_keys: "Keys of one letter",
  about_scores: "Scores rank the passages of one question. No score says that nothing answers it: read the passage.",

  empty_question: "Type a question first, in any language.",
  nothing: "Nothing found",
  nothing_lexical: "No passage has a word of your question. Words alone find nothing in another language; meaning does.",
  nothing_filtered: "None of the chosen languages has a passage for this question.",
  nothing_at_all: "The index holds no passages. Build it again with documents in it.",
  by_meaning: "Search by meaning too",
  in_all: "Search all languages",
  empty_index: "This index is empty",
  away: "The server does not answer",
  away_how: "It may have been stopped, or the network is down. Start it with “tongues serve --index DIR”, then try again.",
  busy: "The server is busy",
  busy_how: { one: "Trying again in {n} second.", other: "Trying again in {n} seconds." },
  busy_still: "It stayed busy. Try again in a while.",
  loading: "The server is getting ready",
  refused: "The server cannot answer this",
  refused_how: "It did not say why: something between this page and the server may have answered. Try again, or ask whoever runs it.",
  broken: "Something went wrong on the server",
  broken_how: "Its log tells more. Try again; if it stays, “tongues verify --index DIR” checks the index.",
  again: "Try again",
  key_wanted: "This server wants a key",
  key_how: "Whoever runs the server has it. It is kept until you close this tab.",
  key_wrong: "That key was not accepted. Look for missing or extra characters.",
  key_label: "API key",
  key_use: "Use this key",
  forget_key: "Forget key",
  key_forgotten: "The key is forgotten.",
};

const all = { en };

/** The language of the page: the first of the reader's that there are words for. */
export const locale = (navigator.languages ?? []).map((tag) => tag.split("-")[0]).find((tag) => tag in all) ?? "en";

const words = all[locale];
const plurals = new Intl.PluralRules(locale);
const numbers = new Intl.NumberFormat(locale);

function form(key, values) {
  const word = words[key] ?? en[key];
  if (word === undefined) throw new Error(`words.js: no word ${key}`);
  return typeof word === "string" ? word : (word[plurals.select(values.n)] ?? word.other);
}

const shown = (value) => (typeof value === "number" ? numbers.format(value) : String(value));

/** A string, its {names} filled in; `n` chooses the plural. */
export function told(key, values = {}) {
  return form(key, values).replace(/\{(\w+)\}/g, (_, name) => shown(values[name]));
}

/** The same as nodes, for values that are elements: a text from right to left must stay isolated. */
export function toldNodes(key, values) {
  return form(key, values)
    .split(/(\{\w+\})/)
    .filter(Boolean)
    .map((part) => {
      const value = part.startsWith("{") ? values[part.slice(1, -1)] : part;
      return value instanceof Node ? value : document.createTextNode(shown(value));
    });
}

/** Fill in what the HTML leaves to this file. */
export function fillWords(root) {
  for (const element of root.querySelectorAll("[data-word]")) element.textContent = told(element.dataset.word);
  for (const element of root.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", told(element.dataset.label));
  }
}
