// HTML that the kernel sanitised, on the page: links leave the notebook alone, code can be copied.

import { button, h } from "./dom.js";
import { copyText } from "./clipboard.js";

/** @typedef {import("./dom.js").View} View */

/**
 * One finished part of an answer. The browser's own sanitizer, where there is one, looks again.
 * @param {View} view
 * @param {string} html
 */
export function createBlock(view, html) {
  const element = h("div", { class: "llm-block" });
  const careful = /** @type {{setHTML?: (html: string) => void}} */ (/** @type {unknown} */ (element));
  if (careful.setHTML) careful.setHTML(html);
  else element.innerHTML = html;
  // A link opened here would leave the notebook.
  for (const link of element.querySelectorAll("a")) link.target = "_blank";
  for (const code of element.querySelectorAll("pre")) addCopy(view, code);
  return element;
}

/**
 * @param {View} view
 * @param {HTMLElement} code
 */
function addCopy(view, code) {
  const text = code.textContent ?? "";
  const copy = button("Copy", { class: "llm-link llm-copy-code", "aria-label": "Copy code" }, view.signal, () => {
    copyText(text, code).then((done) => {
      copy.textContent = done ? "Copied" : "Copy";
      view.say(done ? "Code copied." : "The browser does not let the page copy.");
    });
  });
  const frame = h("div", { class: "llm-code" });
  code.replaceWith(frame);
  frame.append(code, copy);
}
