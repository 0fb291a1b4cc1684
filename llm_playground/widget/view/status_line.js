// The line of the panel's messages: "Copied.", "Saved as …", "Opened the run of 10:12. Undo". It lies over
// the summary of the answers, so that a message moves nothing.

import { button, follow, h, setText } from "./dom.js";

/** @typedef {import("./dom.js").View} View */
/** @typedef {ReturnType<typeof createStatusLine>} StatusLine */
/** @typedef {ReturnType<typeof createUndo>} Undo */

const SHOWN_MS = 6_000;
const OFFERED_MS = 30_000;

/**
 * Create the line. A message is shown for some seconds, one that can be undone for longer, an error until
 * the next message. All end with a press of Run and with a step to another Run.
 * @param {AbortSignal} signal
 */
export function createStatusLine(signal) {
  const sentence = h("span", { role: "status" });
  /** @type {{undo: (() => void) | null, timer: ReturnType<typeof setTimeout> | undefined}} */
  const state = { undo: null, timer: undefined };
  const undoButton = button("Undo", { class: "llm-link", hidden: true }, signal, () => state.undo?.());
  const element = h("div", { class: "llm-message", "data-llm": "message", tabindex: "-1" }, sentence, undoButton);
  signal.addEventListener("abort", () => clearTimeout(state.timer));

  /**
   * @param {string} text empty to show nothing
   * @param {(() => void) | null} undo
   */
  const show = (text, undo = null) => {
    clearTimeout(state.timer);
    state.undo = undo;
    if (undo === null && document.activeElement === undoButton) element.focus({ preventScroll: true });
    undoButton.hidden = undo === null;
    setText(sentence, text);
    element.title = text;
  };
  return {
    element,
    /** Show a message for some seconds. @param {string} text */
    say: (text) => {
      show(text);
      state.timer = setTimeout(() => show(""), SHOWN_MS);
    },
    /** Show nothing. */
    clear: () => show(""),
    /** Show an error until the next message. @param {string} text */
    fail: (text) => show(text),
    /** As `fail`, for what a request was rejected with. @param {Error} error */
    report: (error) => show(error.message),
    /** Show a message that can be undone. @param {string} text @param {() => void} undo */
    offer: (text, undo) => {
      show(text, undo);
      state.timer = setTimeout(() => show(""), OFFERED_MS);
    },
    /** Remove an offer, if it is the one that is shown; returns whether it had the focus. @param {() => void} undo */
    withdraw: (undo) => {
      if (state.undo !== undo) return false;
      const hadFocus = element.contains(document.activeElement);
      show("");
      return hadFocus;
    },
  };
}

/**
 * Create what offers to undo an action in the status line, until the next message or `drop`.
 * @param {View} view
 * @param {HTMLElement} [fallbackFocus] gets the focus when the offer with the focus ends
 */
export function createUndo(view, fallbackFocus) {
  /** @type {(() => void) | null} */
  let offered = null;
  let [values, valuesThen] = [() => "", ""];
  const drop = () => {
    if (offered !== null && view.status.withdraw(offered)) fallbackFocus?.focus({ preventScroll: true });
    offered = null;
  };
  /**
   * @param {string} sentence
   * @param {() => unknown} undo
   */
  const offer = (sentence, undo) => {
    const act = () => void Promise.resolve().then(undo).then(drop, view.status.report);
    offered = act;
    valuesThen = values();
    view.status.offer(sentence, act);
  };
  /**
   * Drop an offer as soon as one of the traits has another value than after the action, as undoing must not
   * overwrite later edits. The kernel's echo of an earlier edit is no change.
   * @param {readonly string[]} traits
   */
  const dropAfterChange = (traits) => {
    values = () => JSON.stringify(traits.map((trait) => view.model.get(trait) ?? null));
    follow(view, traits, () => {
      if (offered !== null && values() !== valuesThen) drop();
    });
  };
  return { offer, drop, dropAfterChange, isOffered: () => offered !== null };
}
