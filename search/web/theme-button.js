// Light, dark, or as the system has it; kept for the next time.

import { told } from "./words.js";

const ORDER = ["system", "light", "dark"];

export function themeButton(button) {
  const root = document.documentElement;
  const show = () => {
    button.textContent = told(`theme_${root.dataset.theme ?? "system"}`);
  };
  button.addEventListener("click", () => {
    const next = ORDER[(ORDER.indexOf(root.dataset.theme ?? "system") + 1) % ORDER.length];
    if (next === "system") delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      if (next === "system") localStorage.removeItem("tongues-theme");
      else localStorage.setItem("tongues-theme", next);
    } catch {
      // It holds until the page is left.
    }
    show();
  });
  show();
}
