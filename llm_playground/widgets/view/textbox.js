// A text area that edits a trait and grows with its text.

import { h, follow, newId } from "./dom.js";

/** @typedef {import("./dom.js").View} View */

/**
 * @param {View} view
 * @param {{trait: string, label: string, rows: number, placeholder: string}} what
 * @param {...Node} beside what stands at the right of the label
 */
export function createTextBox(view, { trait, label, rows, placeholder }, ...beside) {
  const id = newId();
  const box = h("textarea", { id, rows, placeholder, "data-llm": trait, spellcheck: "false" });
  const element = h("div", { class: `llm-text llm-${trait}` },
    h("div", { class: "llm-text-head" }, h("label", { for: id, class: "llm-label" }, label), ...beside), box);
  const grow = growing(view, box);
  box.addEventListener("input", () => view.edit(trait, box.value), { signal: view.signal });
  follow(view, [trait], () => {
    setValue(box, view.model.get(trait));
    element.classList.toggle("llm-empty", box.value === "");
    grow();
  });
  return { element, box };
}

/**
 * Set a box's text only where it differs: what the browser can undo, and where the caret is, stay.
 * @param {HTMLTextAreaElement} box
 * @param {string} text
 */
export function setValue(box, text) {
  if (box.value !== text) box.value = text;
}

/**
 * Let a text area be as high as its text, within its bounds; returns what to call after its text
 * was set. Where the browser does it by itself (field-sizing) there is nothing to do.
 * @param {View} view
 * @param {HTMLTextAreaElement} box
 */
export function growing({ signal }, box) {
  if (CSS.supports("field-sizing", "content")) return () => {};
  const grow = () => {
    // Never shorter while measuring: the page would scroll.
    if (box.scrollHeight > box.clientHeight) box.style.height = `${box.scrollHeight + 2}px`;
    if (box.value === "") box.style.height = "";
  };
  box.addEventListener("input", grow, { signal });
  return grow;
}
