// HTML that the kernel sanitised, on the page: links leave the notebook alone, code can be copied.

import { h } from "./dom.js";
import { createCopy } from "./clipboard.js";

/** @typedef {import("./dom.js").View} View */

// What the kernel's own sanitizer lets through; the browser's, by itself, would drop the classes
// of coloured code and let pictures in, which are loaded without a click.
const ALLOWED = {
  elements: [
    "p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "code", "ul", "ol", "li",
    "strong", "em", "s", "a", "table", "thead", "tbody", "tr", "th", "td", "span",
    ...[
      "math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "ms", "mfrac", "msqrt", "mroot", "msub", "msup",
      "msubsup", "munder", "mover", "munderover", "mmultiscripts", "mtable", "mtr", "mtd", "mstyle",
      "mpadded", "mphantom", "menclose", "merror", "mprescripts",
    ].map((name) => ({ name, namespace: "http://www.w3.org/1998/Math/MathML" })),
  ],
  attributes: [
    "class", "href", "title", "start", "rel", "display", "mathvariant", "stretchy", "fence", "separator",
    "lspace", "rspace", "minsize", "maxsize", "movablelimits", "accent", "accentunder", "linethickness",
    "displaystyle", "scriptlevel", "columnalign", "rowspacing", "columnspacing", "width", "height",
    "depth", "voffset", "mathcolor", "form", "symmetric", "largeop", "columnlines", "rowlines", "notation", "columnspan", "rowspan",
  ],
};

/**
 * One finished part of an answer. The browser's own sanitizer, where there is one, looks again.
 * @param {View} view
 * @param {string} html
 */
export function createBlock(view, html) {
  const element = h("div", { class: "llm-block" });
  const careful = /** @type {{setHTML?: (html: string, how: object) => void}} */ (/** @type {unknown} */ (element));
  if (careful.setHTML) careful.setHTML(html, { sanitizer: ALLOWED });
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
  const copy = createCopy(view, "Code", { class: "llm-link llm-copy-code" }, () => text);
  const frame = h("div", { class: "llm-code" });
  code.replaceWith(frame);
  frame.append(code, copy);
}
