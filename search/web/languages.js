// What is known of a language by its tag: its own name, its script, which way it is written.

import { locale, told } from "./words.js";

/** Own names that browsers often leave out of their tables. */
const OWN_NAMES = {
  af: "Afrikaans", as: "অসমীয়া", azb: "تۆرکجه", be: "беларуская", bo: "བོད་སྐད་", br: "brezhoneg", ckb: "کوردیی ناوەندی",
  cy: "Cymraeg", dv: "ދިވެހިބަސް", eu: "euskara", fy: "Frysk", ga: "Gaeilge", gd: "Gàidhlig", gl: "galego", ha: "Hausa",
  hy: "հայերեն", ig: "Igbo", is: "íslenska", jv: "Jawa", ka: "ქართული", km: "ខ្មែរ", ks: "کٲشُر", ku: "kurdî",
  ky: "кыргызча", la: "latina", lb: "Lëtzebuergesch", lo: "ລາວ", mg: "Malagasy", mk: "македонски", mn: "монгол",
  mt: "Malti", my: "မြန်မာ", ne: "नेपाली", nn: "norsk nynorsk", om: "Oromoo", or: "ଓଡ଼ିଆ", pnb: "پنجابی", ps: "پښتو",
  rw: "Ikinyarwanda", sa: "संस्कृतम्", si: "සිංහල", sn: "chiShona", so: "Soomaali", sq: "shqip", su: "Basa Sunda",
  ti: "ትግርኛ", tl: "Tagalog", ug: "ئۇيغۇرچە", xh: "isiXhosa", yi: "ייִדיש", yo: "Yorùbá", zu: "isiZulu",
};

const RTL_SCRIPTS = new Set(
  "Adlm Arab Armi Avst Hebr Mand Mani Mend Nbat Nkoo Orkh Palm Phli Phnx Prti Rohg Samr Sogd Syrc Thaa Yezi".split(" "),
);

/** Scripts of languages whose tags `Intl.Locale` cannot complete. */
const SCRIPTS = {
  ajp: "Arab", apc: "Arab", arb: "Arab", arz: "Arab", acm: "Arab", ary: "Arab", azb: "Arab", bal: "Arab", bqi: "Arab",
  ckb: "Arab", dv: "Thaa", glk: "Arab", heb: "Hebr", ks: "Arab", lrc: "Arab", mzn: "Arab", nqo: "Nkoo", pbt: "Arab",
  pes: "Arab", pnb: "Arab", prs: "Arab", rhg: "Rohg", skr: "Arab", syr: "Syrc", urd: "Arab", ydd: "Hebr",
};

/** Languages in Arabic script that are read in Nastaliq. */
const NASTALIQ = new Set(["bft", "khw", "ks", "pa", "phr", "pnb", "skr", "ur", "urd"]);

function parsed(tag) {
  try {
    return new Intl.Locale(tag);
  } catch {
    return null; // not a tag at all: shown as it is
  }
}

/** The ISO 15924 script a language is written in, "" when nothing tells. */
export function scriptOf(tag) {
  const one = parsed(tag);
  if (!one || one.language === "und") return one?.script ?? "";
  return one.script ?? SCRIPTS[one.language] ?? one.maximize().script ?? "";
}

/** "rtl", "ltr", or "auto" where the text itself has to tell. */
export function directionOf(tag) {
  const script = scriptOf(tag);
  if (script) return RTL_SCRIPTS.has(script) ? "rtl" : "ltr";
  return "auto";
}

/** What an element says whose words are the page's own, within a text of any language. */
export const OWN = { lang: locale, dir: directionOf(locale) };

/** The style of writing that fonts are chosen by: a script, or `Nast` for Arabic script in Nastaliq. */
export function handOf(tag) {
  const script = scriptOf(tag);
  return script === "Arab" && NASTALIQ.has(parsed(tag)?.language) ? "Nast" : script;
}

function nameIn(shownIn, tag) {
  try {
    const [supported] = Intl.DisplayNames.supportedLocalesOf([shownIn]);
    return supported && new Intl.DisplayNames([supported], { type: "language", fallback: "none" }).of(tag);
  } catch {
    return undefined;
  }
}

/** The name in the language of the page. */
export function nameOf(tag) {
  return tag === "und" || !tag ? told("unknown_language") : (nameIn(locale, tag) ?? tag);
}

/** The name in the language itself. */
export function ownNameOf(tag) {
  const one = parsed(tag);
  if (!one || one.language === "und") return nameOf(tag);
  const plain = OWN_NAMES[one.language];
  if (plain && tag === one.language) return plain;
  const own = nameIn(tag, tag);
  // Where a browser has no names in this language it answers in another one.
  return own && (own !== nameIn("en", tag) || one.language === "en") ? own : (plain ?? nameOf(tag));
}

/** Say of an element in which language and direction its text is. */
export function speak(element, tag) {
  element.lang = tag || "und";
  element.dir = directionOf(tag);
  element.dataset.hand = handOf(tag);
  return element;
}

/** The own name of a language, isolated from the text around it. */
export function ownName(tag) {
  const name = document.createElement("bdi");
  name.textContent = ownNameOf(tag);
  return ownNameOf(tag) === nameOf(tag) ? name : speak(name, tag);
}
