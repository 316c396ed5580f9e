// Elements without HTML: whatever a document holds goes in as text.

/** An element with properties and children; `data-*` and `aria-*` are attributes, `on*` listens. */
export function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "class") element.className = value;
    else if (key in element && !key.includes("-")) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** A text of unknown direction, isolated from what stands beside it. */
export function isolated(text, properties = {}) {
  return make("bdi", properties, String(text));
}

/** Put a text on the clipboard; false where the browser lets nobody. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

// Pages that are not served from this machine or by https have no clipboard interface.
function copyBySelection(text) {
  const area = make("textarea", { value: text, class: "unseen", readOnly: true, tabIndex: -1, "aria-hidden": "true" });
  const focused = document.activeElement;
  document.body.append(area);
  area.select();
  let done = false;
  try {
    done = document.execCommand("copy");
  } catch {
    done = false;
  }
  area.remove();
  focused?.focus?.({ preventScroll: true });
  return done;
}
