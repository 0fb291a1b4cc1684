// A text area that edits a trait.

import { h, follow, newId } from "./dom.js";

/** @typedef {import("./dom.js").View} View */

/**
 * A text area that edits a trait.
 * @param {View} view
 * @param {{trait: string, label: string, rows: number, placeholder: string}} what
 */
export function createTextBox(view, { trait, label, rows, placeholder }) {
  const id = newId();
  const box = h("textarea", { id, rows, placeholder, "data-llm": trait, spellcheck: "false" });
  const element = h("div", { class: `llm-text llm-${trait}` },
    h("label", { for: id, class: "llm-label" }, label), box);
  box.addEventListener("input", () => view.edit(trait, box.value), { signal: view.signal });
  follow(view, [trait], () => {
    const value = view.model.get(trait);
    if (box.value !== value) box.value = value;
    element.classList.toggle("llm-empty", value === "");
  });
  return { element, box };
}
