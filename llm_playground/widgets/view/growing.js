// The text of one answer on the page: finished blocks are put there once and never touched again,
// only what follows them is plain text, and only its end grows.

import { h } from "./dom.js";
import { createBlock } from "./rich.js";

/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./panes.js").Pane} Pane */

// One text node of any length is laid out anew as a whole at every letter; several are not.
const LONGEST_NODE = 4096;

/**
 * @param {View} view
 * @param {HTMLElement} body
 * @returns {(pane: Pane) => boolean} paints; whether there was something to paint
 */
export function createGrowing(view, body) {
  const tail = h("div", { class: "llm-tail" });
  body.append(tail);
  const drawn = { edition: 0, blocks: 0, text: "" };

  /** @param {string} text */
  const growTail = (text) => {
    if (!text.startsWith(drawn.text) || drawn.text === "") tail.replaceChildren();
    appendTo(tail, tail.firstChild ? text.slice(drawn.text.length) : text);
    drawn.text = text;
  };
  return (pane) => {
    const anew = pane.edition !== drawn.edition;
    if (!anew && pane.blocks.length === drawn.blocks && pane.tail === drawn.text) return false;
    if (anew) {
      body.replaceChildren(tail);
      drawn.blocks = 0;
      drawn.edition = pane.edition;
    }
    const fresh = pane.blocks.slice(drawn.blocks).map((html) => createBlock(view, html));
    tail.before(...fresh);
    drawn.blocks = pane.blocks.length;
    growTail(pane.tail);
    return true;
  };
}

/**
 * More text at the end of a place, in pieces that are not too long.
 * @param {HTMLElement} place
 * @param {string} text
 */
function appendTo(place, text) {
  if (text === "") return;
  const last = place.lastElementChild?.firstChild;
  if (!(last instanceof Text)) return place.append(h("div", {}, text));
  const cut = cutAt(text, last.length);
  last.appendData(text.slice(0, cut));
  if (cut < text.length) place.append(h("div", {}, text.slice(cut)));
}

/**
 * How much of new text goes to a piece that has `length` letters: all of it, until the piece is
 * long and a line ends, where a cut is not seen; a line that never ends is cut at a space.
 * @param {string} text
 * @param {number} length
 */
export function cutAt(text, length) {
  if (length + text.length < LONGEST_NODE) return text.length;
  const line = text.indexOf("\n") + 1;
  const space = length < 4 * LONGEST_NODE ? 0 : text.indexOf(" ") + 1;
  return line || space || text.length;
}
