// Text into the clipboard, also where the page has only the old way.

import { button, h, setText } from "./dom.js";

/** @typedef {import("./dom.js").View} View */

/** What is said where copying came to nothing. */
export const NOT_COPIED = "The browser does not let the page copy.";

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

/**
 * A button "Copy" that says what came of it.
 * @param {View} view
 * @param {string} name what is copied, as a sentence begins with it
 * @param {Record<string, string>} attributes
 * @param {() => string} text
 */
export function createCopy(view, name, attributes, text) {
  const copy = button("Copy", { ...attributes, "aria-label": `Copy ${name.toLowerCase()}` }, view.signal, () => {
    copyText(text(), copy.parentElement ?? copy).then((done) => {
      setText(copy, done ? "Copied" : "Copy");
      view.say(done ? `${name} copied.` : NOT_COPIED);
    });
  });
  return copy;
}
