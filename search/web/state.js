// What is asked and how, as it stands in the address: a link to results is the address.

export const MODES = ["hybrid", "dense", "lexical"];
export const BALANCES = ["auto", "off", "full"];
export const COUNTS = [5, 10, 20, 50];
export const COUNTS_EACH = [1, 2, 3, 5, 10];
const PLAIN = { q: "", lang: [], group: 0, mode: "hybrid", balance: "auto", k: 10 };

const number = (text, most) => (/^\d{1,3}$/.test(text ?? "") ? Math.min(Number(text), most) : 0);

export function readState(search) {
  const given = new URLSearchParams(search);
  const among = (name, known) => (known.includes(given.get(name)) ? given.get(name) : PLAIN[name]);
  return {
    q: given.get("q") ?? "",
    lang: [...new Set((given.get("lang") ?? "").split(",").filter(Boolean))],
    group: number(given.get("group"), 20),
    mode: among("mode", MODES),
    balance: among("balance", BALANCES),
    k: number(given.get("k"), 100) || PLAIN.k,
  };
}

/** The address of a state; what is as ever is left out. */
export function writeState(state) {
  const shown = new URLSearchParams();
  if (state.q) shown.set("q", state.q);
  if (state.lang.length) shown.set("lang", state.lang.join(","));
  for (const name of ["group", "mode", "balance", "k"]) {
    if (state[name] !== PLAIN[name]) shown.set(name, state[name]);
  }
  const text = shown.toString().replaceAll("%2C", ",");
  return text ? `?${text}` : location.pathname;
}

/** The parameters of `GET /search`. */
export function asked(state) {
  const many = state.group ? { per_language: state.group } : { k: state.k };
  return { q: state.q, ...many, lang: state.lang.join(","), mode: state.mode, balance: state.balance };
}
