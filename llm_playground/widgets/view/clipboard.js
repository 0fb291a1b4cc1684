// Text into the clipboard, also where the page has only the old way.

import { h } from "./dom.js";

/**
 * Whether the text got into the clipboard. Without https the page has only the old way.
 * @param {string} text
 * @param {HTMLElement} place in the page, for a moment
 */
export async function copyText(text, place) {
  if (navigator.clipboard) {
    return navigator.clipboard.writeText(text).then(() => true, () => false);
  }
  const focused = document.activeElement;
  const box = h("textarea", { class: "llm-offscreen", "aria-hidden": "true" });
  box.value = text;
  place.append(box);
  box.select();
  const done = document.execCommand("copy");
  box.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return done;
}
