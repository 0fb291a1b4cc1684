// The text of one answer: formatted as blocks of HTML, or raw as the model wrote it.

import { isOpen } from "./answer_state.js";
import { createBlock, h } from "./dom.js";

/** @typedef {import("./answer_state.js").Pane} Pane */
/** @typedef {import("./dom.js").View} View */

/** How an answer's text is shown. @typedef {"text" | "formatted"} Form */

/** Nearer to its end than this, a text is followed while it grows. */
export const NEAR_END_PX = 24;
const READ_EVERY_MS = 500;
const RAW_TEXT_TIMEOUT_MS = 1500;

/**
 * Create the raw text of an answer, which the kernel sends on request only: while it is shown, each
 * character once. `formatted` has the formatted text, which replaces it while no kernel replies.
 * `element` fires "added" when its text has grown, which may change no box but its own.
 * @param {View} view
 * @param {number} number
 * @param {HTMLElement} formatted
 */
export function createRawText(view, number, formatted) {
  const element = h("div", { class: "llm-raw", "data-llm": "raw", dir: "auto", hidden: true });
  /** @type {{form: Form, pane: Pane | null, revision: number, end: number, reading: boolean, stale: boolean}} */
  const state = { form: "formatted", pane: null, revision: -1, end: 0, reading: false, stale: true };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let later;
  view.signal.addEventListener("abort", () => clearTimeout(later));

  const readNew = async () => {
    later = undefined;
    if (state.reading || !state.stale || state.form !== "text" || view.signal.aborted) return;
    const revision = state.pane?.revision ?? 0;
    if (revision !== state.revision) Object.assign(state, { revision, end: 0 });
    Object.assign(state, { reading: true, stale: false });
    const start = state.end;
    const { text, end } = await requestText(view, number, start, formatted);
    state.reading = false;
    if ((state.pane?.revision ?? 0) === revision) {
      const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END_PX;
      if (start === 0) element.replaceChildren();
      appendTo(element, text);
      state.end = end;
      element.dispatchEvent(new Event("added"));
      if (atEnd && state.pane && isOpen(state.pane)) element.scrollTop = element.scrollHeight;
    }
    readLater();
  };
  const readLater = () => {
    if (later !== undefined || state.reading || !state.stale || state.form !== "text") return;
    later = setTimeout(readNew, state.pane && isOpen(state.pane) && state.end > 0 ? READ_EVERY_MS : 0);
  };
  return {
    element,
    form: () => state.form,
    /** @param {Form} form */
    setForm: (form) => {
      state.form = form;
      state.stale ||= state.end === 0;
      readLater();
    },
    /** @param {Pane} pane */
    paint: (pane) => {
      state.pane = pane;
      state.stale = true;
      readLater();
    },
  };
}

/**
 * The raw text of an answer from `start` on, and where it ends; all of the formatted text if the kernel
 * does not reply in time.
 * @param {View} view
 * @param {number} number
 * @param {number} start
 * @param {HTMLElement} formatted
 * @returns {Promise<{text: string, end: number}>}
 */
async function requestText(view, number, start, formatted) {
  const late = new Promise((resolve) => { setTimeout(() => resolve(null), RAW_TEXT_TIMEOUT_MS); });
  const reply = await Promise.race([view.request("raw_text", { answer: number, start }), late]).catch(() => null);
  return reply ?? { text: start === 0 ? formatted.textContent ?? "" : "", end: start };
}

// Browsers lay out a whole text node again for each appended letter, so long text is split into nodes.
const MAX_NODE_LENGTH = 4096;

// Text after the finished blocks that will be code: JSON, or a fence.
const CODE_BEGINS = /^(?:[{[]\s*(?:["{[]|$)|```|~~~)/;

/**
 * Create a function that paints an answer's text and returns whether it changed. Finished blocks are
 * added once and stay untouched; the unfinished tail after them is plain text, which is appended to.
 * @param {View} view
 * @param {HTMLElement} body
 * @returns {(pane: Pane) => boolean}
 */
export function createTextRenderer(view, body) {
  const tail = h("div", { class: "llm-tail" });
  body.append(tail);
  const drawn = { revision: 0, blocks: 0, text: "" };

  /** @param {string} text */
  const setTail = (text) => {
    if (!text.startsWith(drawn.text) || drawn.text === "") tail.replaceChildren();
    appendTo(tail, tail.firstChild ? text.slice(drawn.text.length) : text);
    tail.classList.toggle("llm-growing-code", CODE_BEGINS.test(text));
    drawn.text = text;
  };
  return (pane) => {
    const replaced = pane.revision !== drawn.revision;
    if (!replaced && pane.blocks.length === drawn.blocks && pane.tail === drawn.text) return false;
    const opened = replaced ? folds(body).map((fold) => fold.open) : [];
    if (replaced) {
      body.replaceChildren(tail);
      drawn.blocks = 0;
      drawn.revision = pane.revision;
    }
    const fresh = pane.blocks.slice(drawn.blocks).map((block) => createBlock(view, block));
    tail.before(...fresh);
    if (opened.includes(true)) folds(body).forEach((fold, at) => { fold.open = opened[at] ?? false; });
    drawn.blocks = pane.blocks.length;
    setTail(pane.tail);
    return true;
  };
}

/**
 * Move to the source that a pressed marker such as [1] names. The page's address stays as it is.
 * @param {MouseEvent} event
 * @param {HTMLElement} body
 */
export function goToSource(event, body) {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  const name = link?.getAttribute("href") ?? "";
  if (!name.startsWith("#")) return;
  event.preventDefault();
  const source = body.querySelector(`[id="${CSS.escape(name.slice(1))}"]`);
  if (!(source instanceof HTMLElement)) return;
  source.tabIndex = -1;
  source.focus({ preventScroll: true });
  source.scrollIntoView({ block: "nearest" });
}

/**
 * The parts of an answer that can be folded.
 * @param {HTMLElement} body
 */
function folds(body) {
  return [...body.querySelectorAll("details")];
}

/**
 * Append text, in nodes of limited length.
 * @param {HTMLElement} parent
 * @param {string} text
 */
function appendTo(parent, text) {
  if (text === "") return;
  const last = parent.lastElementChild?.firstChild;
  if (!(last instanceof Text)) return parent.append(h("div", {}, text));
  const split = splitPosition(text, last.length);
  last.appendData(text.slice(0, split));
  if (split < text.length) parent.append(h("div", {}, text.slice(split)));
}

/**
 * How much of a text to append to a node that has `length` characters: all of it until the node is
 * long, then up to a line end, where the split is invisible. A very long line is split at a space.
 * @param {string} text
 * @param {number} length
 */
function splitPosition(text, length) {
  if (length + text.length < MAX_NODE_LENGTH) return text.length;
  const line = text.indexOf("\n") + 1;
  const space = length < 4 * MAX_NODE_LENGTH ? 0 : text.indexOf(" ") + 1;
  return line || space || text.length;
}
