// One line that says what was done, and takes it back.

import { h, button, setText, show } from "./dom.js";

/** @typedef {import("./dom.js").View} View */
/** @typedef {ReturnType<typeof createUndoLine>} Undo */

/**
 * The line stays until something else is said in it or it is dropped.
 * @param {View} view
 * @param {HTMLElement} [heir] of the focus, when the line goes
 */
export function createUndoLine(view, heir) {
  const line = h("span", {});
  /** @type {() => unknown} */
  let take = () => {};
  const back = button("Undo", { class: "llm-link" }, view.signal, () => {
    Promise.resolve(take()).then(() => drop(), fail);
  });
  const element = h("p", { class: "llm-undo", hidden: true }, line, back);
  const drop = () => {
    if (heir) show(element, false, heir);
    else element.hidden = true;
  };
  /** @param {Error} error */
  const fail = (error) => {
    setText(line, error.message);
    back.hidden = true;
    element.hidden = false;
  };
  /**
   * @param {string} sentence
   * @param {() => unknown} undo
   */
  const offer = (sentence, undo) => {
    take = undo;
    setText(line, sentence);
    back.hidden = false;
    element.hidden = false;
    view.say(`${sentence} Undo is offered.`);
  };
  return { element, offer, drop, fail };
}
