// One answer: its text, reasoning, status and cost, its actions, and its difference to the baseline.

import { hasText, isOpen } from "./answer_state.js";
import { NEAR_END_PX, createRawText, createTextRenderer, goToSource } from "./answer_text.js";
import { COPY_FAILED, button, copyText, h, setText, show } from "./dom.js";
import { createMenu } from "./overlay.js";

/** @typedef {import("./answer_state.js").Pane} Pane */
/** @typedef {import("./answer_text.js").Form} Form */
/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./overlay.js").MenuItem} MenuItem */

/**
 * A filled pane. `paint` only writes to the DOM; `afterPaint` scrolls, after all panes have painted.
 * @typedef {object} PaneView
 * @property {(pane: Pane) => void} paint
 * @property {() => void} afterPaint
 * @property {(parts: readonly DiffPart[] | null, baseline: number) => void} compare show the
 *   difference instead of the answer, or the answer again
 * @property {(form: Form) => void} setForm show the text as the model wrote it, or formatted
 * @property {() => void} copy
 * @property {(direction: number) => void} scroll by one page
 * @property {() => void} enlarge fit the height to the answer, or restore it
 * @property {() => void} clear empty the frame, which keeps its height
 */

/**
 * Returns the menu items of an answer.
 * @typedef {(number: number) => readonly MenuItem[]} MenuItemsOf
 */

const REPLY_TIMEOUT_MS = 1000;

/** @type {Record<string, string>} */
const STATES = {
  waiting: "Waiting", cancelled: "Stopped", failed: "Failed", blocked: "Blocked",
  interrupted: "Interrupted", over_budget: "Not sent",
};

/**
 * Create the empty frame of an answer, which has its name, its focus and its place on the page.
 * @param {Pane} pane
 */
export function createFrame({ number }) {
  return h("section", {
    role: "region", "aria-label": `Answer ${number}`, tabindex: "-1", class: "llm-pane",
    "data-llm": "pane", "data-number": number,
  });
}

/**
 * Fill a frame, until `clear` empties it again.
 * @param {View} view
 * @param {HTMLElement} element the frame
 * @param {Pane} first
 * @param {MenuItemsOf} menuItems
 * @returns {PaneView}
 */
export function createPane(view, element, { number, label }, menuItems) {
  const elements = createElements(view, element, number, label, menuItems);
  const { body, more, difference, raw } = elements;
  const { signal } = view;
  /** @type {{following: boolean, pane: Pane | null, textChanged: boolean}} */
  const state = { following: true, pane: null, textChanged: false };
  const paintText = createTextRenderer(view, body);
  const thinking = /** @type {Text} */ (elements.thinking);

  const scrollToEnd = () => {
    body.scrollTop = body.scrollHeight;
    state.following = true;
    show(more, false, element);
  };
  more.addEventListener("click", scrollToEnd, { signal });
  body.addEventListener("scroll", () => {
    state.following = body.scrollHeight - body.scrollTop - body.clientHeight < NEAR_END_PX;
    if (state.following) show(more, false, element);
  }, { signal, passive: true });

  /** @param {Pane} pane */
  const paint = (pane) => {
    if (pane === state.pane) return;
    if (paintText(pane)) state.textChanged = true;
    raw.paint(pane);
    if (thinking.length > pane.reasoning.length) thinking.data = "";
    thinking.appendData(pane.reasoning.slice(thinking.length));
    elements.paintRest(pane);
    state.pane = pane;
  };
  const afterPaint = () => {
    if (!state.textChanged || !state.pane) return;
    state.textChanged = false;
    // A finished answer is not scrolled: the user may read it from the beginning or be reading already.
    if (state.following && isOpen(state.pane)) scrollToEnd();
    else show(more, isOpen(state.pane), element);
  };
  const copy = () => {
    textOf(view, number, body).then((text) => copyText(text, element)).then((done) => {
      elements.showCopied(done);
      view.announce(done ? `Answer ${number} copied.` : COPY_FAILED);
    });
  };
  const textElement = () => (raw.form() === "text" ? raw.element : body);
  const visible = () => [difference, raw.element].find((one) => !one.hidden) ?? body;
  /** @param {HTMLElement} shown */
  const showOnly = (shown) => {
    for (const one of [body, raw.element, difference]) show(one, one === shown, element);
  };
  elements.copyOne.addEventListener("click", copy, { signal });
  body.addEventListener("click", (event) => goToSource(event, body), { signal });
  return {
    paint, afterPaint, copy,
    setForm: (form) => {
      raw.setForm(form);
      if (visible() !== difference) showOnly(textElement());
    },
    compare: (parts, baseline) => {
      showOnly(parts ? difference : textElement());
      if (!parts) return;
      drawDifference(difference, parts, baseline);
      difference.scrollTop = 0;
    },
    scroll: (direction) => visible().scrollBy(0, direction * visible().clientHeight * 0.9),
    enlarge: () => element.classList.toggle("llm-large"),
    clear: elements.clear,
  };
}

/**
 * Create the elements of a pane, with a function that paints all but the text.
 * @param {View} view
 * @param {HTMLElement} element
 * @param {number} number
 * @param {string} label
 * @param {MenuItemsOf} menuItems
 */
function createElements(view, element, number, label, menuItems) {
  const { signal } = view;
  const thinking = document.createTextNode("");
  const thought = h("summary", {}, "Reasoning");
  const reasoning = h("details", { class: "llm-reasoning", hidden: true }, thought, h("div", {}, thinking));
  const body = h("div", { class: "llm-answer", "data-llm": "answer" });
  const raw = createRawText(view, number, body);
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
    () => menuItems(number));
  element.style.minHeight = "";
  element.replaceChildren(
    h("header", {}, h("span", { class: "llm-ordinal" }, [number, label].filter(Boolean).join(" · ")), status,
      retryNow, stopOne, copyOne, menu.element),
    h("div", { class: "llm-frame" }, reasoning, body, raw.element, difference, more), notices, footer);

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
    body, raw, difference, more, thinking, copyOne, paintRest,
    showCopied: (/** @type {boolean} */ done) => setText(copyOne, done ? "Copied" : "Copy"),
    clear: () => {
      view.localKeys.delete(menu.element);
      element.style.minHeight = `${element.offsetHeight}px`;
      element.replaceChildren();
    },
  };
}

/**
 * The text of an answer as the model wrote it, or as displayed if the kernel does not reply in time.
 * @param {View} view
 * @param {number} number
 * @param {HTMLElement} body
 * @returns {Promise<string>}
 */
function textOf(view, number, body) {
  const displayed = new Promise((resolve) => { setTimeout(() => resolve(body.innerText), REPLY_TIMEOUT_MS); });
  return Promise.race([view.request("text", { answer: number }), displayed]);
}

/**
 * Paint the notices and the suggested actions, if they have changed.
 * @param {View} view
 * @param {HTMLElement} list
 * @param {Pane} pane
 */
function paintNotices(view, list, { number, notices, actions }) {
  const shown = JSON.stringify([notices, actions]);
  if (list.dataset["shown"] === shown) return;
  list.dataset["shown"] = shown;
  const retries = actions.map(({ label, changes }) => button(label, { class: "llm-inline" }, view.signal,
    () => view.model.send({ type: "retry", number, changes })));
  list.replaceChildren(...notices.map((notice) => h("li", {}, notice)), ...retries.map((retry) => h("li", {}, retry)));
}

/**
 * Words that are in both answers ("="), only in the baseline ("-") or only in this answer ("+").
 * @typedef {["=" | "-" | "+", string]} DiffPart
 */

/**
 * Show the difference to the baseline word by word, marked by lines as well as by color.
 * @param {HTMLElement} element
 * @param {readonly DiffPart[]} parts
 * @param {number} baseline the number of the answer that is compared with
 */
export function drawDifference(element, parts, baseline) {
  const words = countDifferingWords(parts);
  const line = words === 0 ? `The same as answer ${baseline}.`
    : `${words.toLocaleString("en")} word${words === 1 ? " differs" : "s differ"} from answer ${baseline}.`;
  element.replaceChildren(h("p", { class: "llm-difference-line" }, line), h("div", {}, ...parts.map(partNode)));
}

/**
 * The number of words that differ; a replacement counts as many words as its longer side.
 * @param {readonly DiffPart[]} parts
 */
export function countDifferingWords(parts) {
  let [removed, added, sum] = [0, 0, 0];
  for (const [kind, text] of [...parts, /** @type {DiffPart} */ (["=", ""])]) {
    const words = text.split(/\s+/).filter(Boolean).length;
    if (kind === "-") removed += words;
    else if (kind === "+") added += words;
    else {
      sum += Math.max(removed, added);
      [removed, added] = [0, 0];
    }
  }
  return sum;
}

/** @param {DiffPart} part */
function partNode([kind, text]) {
  if (kind === "=") return text;
  return kind === "-" ? h("del", {}, text) : h("ins", {}, text);
}
