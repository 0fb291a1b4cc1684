// The difference of two answers, word by word: marked by signs and lines, not by hue alone.

import { h } from "./dom.js";

/**
 * A run of words: "=" in both, "-" only in the baseline, "+" only in this answer.
 * @typedef {["=" | "-" | "+", string]} Piece
 */

/**
 * @param {HTMLElement} place
 * @param {readonly Piece[]} pieces
 * @param {number} baseline the number of the answer that is compared with
 */
export function drawDifference(place, pieces, baseline) {
  const words = differing(pieces);
  const line = words === 0 ? `The same as answer ${baseline}.`
    : `${words.toLocaleString("en")} word${words === 1 ? " differs" : "s differ"} from answer ${baseline}.`;
  place.replaceChildren(h("p", { class: "llm-difference-line" }, line), h("div", {}, ...pieces.map(drawn)));
}

/**
 * How many words are not the same: of a change the longer side.
 * @param {readonly Piece[]} pieces
 */
export function differing(pieces) {
  let [gone, come, sum] = [0, 0, 0];
  for (const [kind, text] of [...pieces, /** @type {Piece} */ (["=", ""])]) {
    const words = text.split(/\s+/).filter(Boolean).length;
    if (kind === "-") gone += words;
    else if (kind === "+") come += words;
    else {
      sum += Math.max(gone, come);
      [gone, come] = [0, 0];
    }
  }
  return sum;
}

/** @param {Piece} piece */
function drawn([kind, text]) {
  if (kind === "=") return text;
  return kind === "-" ? h("del", {}, text) : h("ins", {}, text);
}
