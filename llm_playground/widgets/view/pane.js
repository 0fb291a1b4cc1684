// One answer: its text, how it came about and what it cost, and what can be done with it.

import { h, button, setText, show } from "./dom.js";
import { createGrowing } from "./growing.js";
import { createMenu } from "./menu.js";
import { NOT_COPIED, copyText } from "./clipboard.js";
import { drawDifference } from "./difference.js";
import { hasText, isOpen } from "./panes.js";

/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./panes.js").Pane} Pane */
/** @typedef {import("./difference.js").Piece} Piece */
/** @typedef {import("./menu.js").Item} Item */

/**
 * A filled pane. `paint` only writes; `settle`, after all panes have painted, scrolls.
 * @typedef {object} PaneView
 * @property {(pane: Pane) => void} paint
 * @property {() => void} settle
 * @property {(pieces: readonly Piece[] | null, baseline: number) => void} compare show the
 *   difference instead of the answer, or the answer again
 * @property {() => void} copy
 * @property {(direction: number) => void} scroll by one page
 * @property {() => void} enlarge as high as the answer is, or as before
 * @property {() => void} end empty the frame, which stays as high as it is
 */

/**
 * What the menu of an answer offers; the answers area knows how.
 * @typedef {(number: number) => readonly Item[]} ItemsOf
 */

const NEAR_THE_END_PX = 24;
const KERNEL_ANSWERS_MS = 1000;

/** @type {Record<string, string>} */
const STATES = {
  waiting: "Waiting", cancelled: "Stopped", failed: "Failed", blocked: "Blocked",
  interrupted: "Interrupted", over_budget: "Not sent",
};

/**
 * The empty frame of an answer: what is named, focused and watched, whether it is filled or not.
 * @param {Pane} pane
 */
export function createFrame({ number }) {
  return h("section", {
    role: "region", "aria-label": `Answer ${number}`, tabindex: "-1", class: "llm-pane",
    "data-llm": "pane", "data-number": number,
  });
}

/**
 * Fill a frame, until `end` empties it again.
 * @param {View} view
 * @param {HTMLElement} element the frame
 * @param {Pane} first
 * @param {ItemsOf} itemsOf
 * @returns {PaneView}
 */
export function createPane(view, element, { number, label }, itemsOf) {
  const parts = createParts(view, element, number, label, itemsOf);
  const { body, more, difference } = parts;
  const { signal } = view;
  /** @type {{following: boolean, pane: Pane | null, due: boolean}} */
  const state = { following: true, pane: null, due: false };
  const growText = createGrowing(view, body);
  const thinking = /** @type {Text} */ (parts.thinking);

  const toTheEnd = () => {
    body.scrollTop = body.scrollHeight;
    state.following = true;
    show(more, false, element);
  };
  more.addEventListener("click", toTheEnd, { signal });
  body.addEventListener("scroll", () => {
    state.following = body.scrollHeight - body.scrollTop - body.clientHeight < NEAR_THE_END_PX;
    if (state.following) show(more, false, element);
  }, { signal, passive: true });

  /** @param {Pane} pane */
  const paint = (pane) => {
    if (pane === state.pane) return;
    if (growText(pane)) state.due = true;
    if (thinking.length > pane.reasoning.length) thinking.data = "";
    thinking.appendData(pane.reasoning.slice(thinking.length));
    parts.paintRest(pane);
    state.pane = pane;
  };
  const settle = () => {
    if (!state.due || !state.pane) return;
    state.due = false;
    // An answer that ended is read from its beginning, unless somebody is reading it already.
    if (state.following && isOpen(state.pane)) toTheEnd();
    else show(more, isOpen(state.pane), element);
  };
  const copy = () => {
    textOf(view, number, body).then((text) => copyText(text, element)).then((done) => {
      parts.copied(done);
      view.say(done ? `Answer ${number} copied.` : NOT_COPIED);
    });
  };
  parts.copyOne.addEventListener("click", copy, { signal });
  return {
    paint, settle, copy,
    compare: (pieces, baseline) => {
      difference.hidden = pieces === null;
      body.hidden = pieces !== null;
      if (!pieces) return;
      drawDifference(difference, pieces, baseline);
      difference.scrollTop = 0;
    },
    scroll: (direction) => {
      const shown = body.hidden ? difference : body;
      shown.scrollBy(0, direction * shown.clientHeight * 0.9);
    },
    enlarge: () => element.classList.toggle("llm-large"),
    end: parts.end,
  };
}

/**
 * The elements of a pane, and how all but its text are painted.
 * @param {View} view
 * @param {HTMLElement} element
 * @param {number} number
 * @param {string} label
 * @param {ItemsOf} itemsOf
 */
function createParts(view, element, number, label, itemsOf) {
  const { signal } = view;
  const thinking = document.createTextNode("");
  const thought = h("summary", {}, "Reasoning");
  const reasoning = h("details", { class: "llm-reasoning", hidden: true }, thought, h("div", {}, thinking));
  const body = h("div", { class: "llm-answer", "data-llm": "answer" });
  const difference = h("div", { class: "llm-difference", hidden: true });
  const more = h("button", { type: "button", class: "llm-more", hidden: true }, "↓ New text");
  const status = h("span", { class: "llm-status", "data-llm": "status" });
  const notices = h("ul", { class: "llm-notices" });
  const footer = h("p", { class: "llm-footer", "data-llm": "footer" });
  const retryNow = button("Retry now", { class: "llm-link", hidden: true }, signal,
    () => view.model.send({ type: "retry_now", number }));
  const stopOne = button("Stop", { class: "llm-link", hidden: true }, signal,
    () => view.model.send({ type: "stop", number }));
  const copyOne = h("button", { type: "button", class: "llm-link", hidden: true }, "Copy");
  const menu = createMenu(view, { text: "⋯", name: `More for answer ${number}`, class: "llm-link llm-dots" },
    () => itemsOf(number));
  element.style.minHeight = "";
  element.replaceChildren(
    h("header", {}, h("span", { class: "llm-ordinal" }, [number, label].filter(Boolean).join(" · ")), status,
      retryNow, stopOne, copyOne, menu.element),
    h("div", { class: "llm-frame" }, reasoning, body, difference, more), notices, footer);

  /** @param {Pane} pane */
  const paintRest = (pane) => {
    reasoning.hidden = pane.reasoning === "";
    setText(thought, pane.thought ? `Reasoning · ${pane.thought}` : "Reasoning");
    element.dataset["state"] = pane.state;
    setText(status, pane.status || (STATES[pane.state] ?? ""));
    status.classList.toggle("llm-going-on", pane.status !== "");
    setText(footer, pane.footer);
    footer.title = pane.hover;
    paintNotices(view, notices, pane);
    show(retryNow, pane.waits, element);
    show(stopOne, isOpen(pane), element);
    show(copyOne, !isOpen(pane) && hasText(pane), element);
    show(menu.element, !isOpen(pane), element);
  };
  return {
    body, difference, more, thinking, copyOne, paintRest,
    copied: (/** @type {boolean} */ done) => setText(copyOne, done ? "Copied" : "Copy"),
    end: () => {
      view.localKeys.delete(menu.element);
      element.style.minHeight = `${element.offsetHeight}px`;
      element.replaceChildren();
    },
  };
}

/**
 * An answer as the model wrote it; where the kernel does not answer, as it is shown.
 * @param {View} view
 * @param {number} number
 * @param {HTMLElement} body
 * @returns {Promise<string>}
 */
function textOf(view, number, body) {
  const shown = new Promise((resolve) => { setTimeout(() => resolve(body.innerText), KERNEL_ANSWERS_MS); });
  return Promise.race([view.ask("text", { answer: number }), shown]);
}

/**
 * What has to be said, each once, and what could be done about it.
 * @param {View} view
 * @param {HTMLElement} list
 * @param {Pane} pane
 */
function paintNotices(view, list, { number, notices, remedies }) {
  const said = JSON.stringify([notices, remedies]);
  if (list.dataset["said"] === said) return;
  list.dataset["said"] = said;
  const retries = remedies.map(({ label, changes }) => button(label, { class: "llm-inline" }, view.signal,
    () => view.model.send({ type: "retry", number, changes })));
  list.replaceChildren(...notices.map((notice) => h("li", {}, notice)), ...retries.map((retry) => h("li", {}, retry)));
}
