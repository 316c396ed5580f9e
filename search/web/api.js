// What the page asks of the server, and what can go wrong: each kind of problem is told in its own way.

const KEY = "tongues-key";
let kept = ""; // where the browser gives no storage

export const key = {
  get() {
    try {
      return sessionStorage.getItem(KEY) ?? kept;
    } catch {
      return kept;
    }
  },
  set(value) {
    kept = value;
    try {
      if (value) sessionStorage.setItem(KEY, value);
      else sessionStorage.removeItem(KEY);
    } catch {
      // It is kept until the page is left.
    }
  },
};

/** `kind`: away, key, busy, loading, refused or broken; `status` and `wait` in seconds, where the server names them. */
export class Problem extends Error {
  constructor(kind, message = "", { status = 0, wait = 0 } = {}) {
    super(message);
    this.kind = kind;
    this.status = status;
    this.wait = wait;
  }
}

function kindOf(status) {
  if (status === 401 || status === 403) return "key";
  if (status === 429) return "busy";
  if (status === 503) return "loading";
  return status < 500 ? "refused" : "broken";
}

/** Get JSON from a path below the page's own; empty parameters are left out. */
export async function ask(path, parameters = {}, signal = undefined) {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== "" && value !== undefined && value !== null) url.searchParams.set(name, value);
  }
  const secret = key.get();
  let response;
  try {
    const headers = { Accept: "application/json", ...(secret && { Authorization: `Bearer ${secret}` }) };
    response = await fetch(url, { headers, signal, cache: "no-store", credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("away");
  }
  let body;
  try {
    body = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw response.ok ? new Problem("broken") : problemOf(response);
  }
  if (!response.ok) {
    throw problemOf(response, typeof body?.error === "string" ? body.error : "");
  }
  return body;
}

function problemOf(response, why = "") {
  return new Problem(kindOf(response.status), why, { status: response.status, wait: waitOf(response) });
}

function waitOf(response) {
  const seconds = Number(response.headers.get("Retry-After"));
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(Math.ceil(seconds), 60) : 0;
}
