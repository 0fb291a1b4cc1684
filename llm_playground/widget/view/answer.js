// One answer: its text, reasoning, status and cost, its actions, and its difference to the baseline.

import { hasText, isOpen } from "./answer_state.js";
import { NEAR_END_PX, createRawText, createTextRenderer, goToSource } from "./answer_text.js";
import { createKeyRepair } from "./api_keys.js";
import { COPY_FAILED, button, copyText, createDiffPart, h, setText, show } from "./dom.js";
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
 * @property {() => boolean} isCut whether an ended answer is longer than what is shown of it
 * @property {(isCut: boolean) => void} offerAll offer to show all of it
 * @property {(difference: Difference | null) => void} compare show the difference to the baseline
 *   instead of the answer, or the answer again
 * @property {(form: Form) => void} setForm show the text as the model wrote it, or formatted
 * @property {() => void} copy
 * @property {(direction: number) => void} scroll by one page
 * @property {() => void} toggleAll show all of an ended answer, or its beginning again
 * @property {() => void} clear empty the frame, which keeps its height
 */

/**
 * Returns the menu items of an answer.
 * @typedef {(number: number) => readonly MenuItem[]} MenuItemsOf
 */

const REPLY_TIMEOUT_MS = 1000;
// By this much a formula may be higher than its line, which scrolls nothing.
const FORMULA_PX = 8;

/** @type {Record<string, string>} */
const STATES = {
  waiting: "Waiting", cancelled: "Stopped", failed: "Failed", blocked: "Blocked",
  interrupted: "Interrupted", over_budget: "Not sent",
};

/**
 * The colors of endings that are no normal ones: red for failures, amber for money.
 * @type {Record<string, string>}
 */
const TONES = { failed: "red", blocked: "red", over_budget: "amber", cancelled: "plain", interrupted: "plain" };

/**
 * Create the empty frame of an answer, which has its name, its focus and its place on the page. The
 * number of an answer of the baseline is negative.
 * @param {Pane} pane
 */
export function createFrame({ number, state }) {
  return h("section", {
    role: "region", "aria-label": capitalized(nameOf(number)), tabindex: "-1", class: "llm-pane",
    "data-llm": number > 0 ? "pane" : "baseline", "data-number": number, "data-state": state,
  });
}

/** @param {number} number */
function nameOf(number) {
  return number > 0 ? `answer ${number}` : `baseline, answer ${-number}`;
}

/** @param {string} text */
function capitalized(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * Fill a frame, until `clear` empties it again.
 * @param {View} view
 * @param {HTMLElement} element the frame
 * @param {Pane} first
 * @param {MenuItemsOf} menuItems
 * @returns {PaneView}
 */
export function createPane(view, element, { number }, menuItems) {
  const elements = createElements(view, element, number, menuItems);
  const { body, more, difference, raw } = elements;
  const { signal } = view;
  /** @type {{pane: Pane | null, textChanged: boolean, hasEnded: boolean}} */
  const state = { pane: null, textChanged: false, hasEnded: false };
  const position = createPosition(view, element, body, more);
  const paintText = createTextRenderer(view, body);
  const thinking = /** @type {Text} */ (elements.thinking);

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
    if (!state.pane) return;
    const isEnded = !isOpen(state.pane);
    if (isEnded && !state.hasEnded) end();
    if (!isEnded && state.hasEnded) restart();
    state.hasEnded = isEnded;
    if (!state.textChanged || isEnded) return;
    state.textChanged = false;
    position.onNewText();
  };
  // An ended answer stands at its beginning, unless someone reads it: then what is read stays in place.
  const end = () => {
    const isHeld = position.isRead() || hasSelection(body);
    element.classList.toggle("llm-held", isHeld);
    if (!isHeld) body.scrollTop = 0;
    show(more, false, element);
  };
  const restart = () => {
    element.classList.remove("llm-all", "llm-held");
    elements.offerAll(false);
    position.restart();
  };
  const toggleAll = () => {
    if (!state.hasEnded) return;
    const isAll = element.classList.toggle("llm-all");
    element.classList.remove("llm-held");
    if (!isAll) body.scrollTop = 0;
    elements.offerAll(isAll || isCut());
    if (!isAll) element.scrollIntoView({ block: "nearest" });
  };
  const isCut = () => {
    const { scrollHeight, clientHeight } = visible();
    return state.hasEnded && scrollHeight > clientHeight + FORMULA_PX;
  };
  elements.all.addEventListener("click", toggleAll, { signal });
  raw.element.addEventListener("added", () => state.hasEnded && elements.offerAll(isCut()), { signal });
  const copy = () => {
    textOf(view, number, body).then((text) => copyText(text, element)).then((done) => {
      elements.showCopied(done);
      if (done) view.status.say(`${capitalized(nameOf(number))} copied.`);
      else view.status.fail(COPY_FAILED);
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
    paint, afterPaint, copy, isCut, toggleAll,
    offerAll: elements.offerAll,
    setForm: (form) => {
      raw.setForm(form);
      if (visible() !== difference) showOnly(textElement());
      elements.offerAll(isCut());
    },
    compare: (found) => {
      const differs = found?.parts.some(([kind]) => kind !== "=") ?? false;
      showOnly(differs ? difference : textElement());
      setText(elements.differs, unbroken(found?.line ?? ""));
      difference.replaceChildren(...(found?.parts ?? []).map(createDiffPart));
      difference.scrollTop = 0;
    },
    scroll: (direction) => {
      position.onRead();
      visible().scrollBy(0, direction * visible().clientHeight * 0.9);
    },
    clear: elements.clear,
  };
}

/**
 * Create the position in the text of a streaming answer: at its end, until it is read further up. A button
 * then leads to the end.
 * @param {View} view
 * @param {HTMLElement} element the frame, which gets the focus that the button had
 * @param {HTMLElement} body the text
 * @param {HTMLElement} more the button
 */
function createPosition({ signal }, element, body, more) {
  const state = { following: true, isRead: false };
  const toEnd = () => {
    body.scrollTop = body.scrollHeight;
    state.following = true;
    show(more, false, element);
  };
  const onRead = () => { state.isRead = body.scrollHeight > body.clientHeight; };
  for (const gesture of ["wheel", "touchmove", "pointerdown", "keydown"]) {
    body.addEventListener(gesture, onRead, { signal, passive: true });
  }
  more.addEventListener("click", () => {
    onRead();
    toEnd();
  }, { signal });
  body.addEventListener("scroll", () => {
    state.following = body.scrollHeight - body.scrollTop - body.clientHeight < NEAR_END_PX;
    if (state.following) show(more, false, element);
  }, { signal, passive: true });
  return {
    onRead,
    isRead: () => state.isRead,
    onNewText: () => (state.following ? toEnd() : show(more, true, element)),
    restart: () => { Object.assign(state, { following: true, isRead: false }); },
  };
}

/**
 * Create the elements of a pane, with a function that paints all but the text.
 * @param {View} view
 * @param {HTMLElement} element
 * @param {number} number
 * @param {MenuItemsOf} menuItems
 */
function createElements(view, element, number, menuItems) {
  const { signal } = view;
  const thinking = document.createTextNode("");
  const thought = h("summary", {}, "Reasoning");
  const reasoning = h("details", { class: "llm-reasoning", hidden: true }, thought, h("div", {}, thinking));
  const body = h("div", { class: "llm-answer", "data-llm": number > 0 ? "answer" : "baseline-answer" });
  const raw = createRawText(view, number, body);
  const difference = h("div", { class: "llm-difference", hidden: true });
  const more = h("button", { type: "button", class: "llm-more", hidden: true }, "↓ New text");
  const status = h("span", { class: "llm-status", "data-llm": "status" });
  const notices = h("ul", { class: "llm-notices" });
  const all = h("button", { type: "button", class: "llm-link llm-show-all", hidden: true });
  const ending = h("div", { class: "llm-ending" }, status, notices);
  const footer = h("span", { class: "llm-footer", "data-llm": number > 0 ? "footer" : "baseline-footer" });
  const differs = h("span", { class: "llm-difference-line" });
  const retryNow = button("Retry now", { class: "llm-link", hidden: true }, signal,
    () => view.model.send({ type: "retry_now", number }));
  const stopOne = button("Stop", { class: "llm-link", hidden: true }, signal,
    () => view.model.send({ type: "stop", number }));
  const copyOne = h("button", { type: "button", class: "llm-link", hidden: true }, "Copy");
  const menu = createMenu(view, { text: "⋯", name: `More for ${nameOf(number)}`, class: "llm-link llm-dots" },
    () => menuItems(number));
  element.style.minHeight = "";
  element.replaceChildren(
    h("div", { class: "llm-frame" }, reasoning, body, raw.element, difference, more), all, ending,
    h("div", { class: "llm-foot" }, h("span", { class: "llm-ordinal" }, number > 0 ? String(number) : ""),
      h("span", { class: "llm-figures" }, footer, differs),
      h("span", { class: "llm-pane-tools" }, retryNow, stopOne, copyOne, menu.element)));

  /** @param {Pane} pane */
  const paintRest = (pane) => {
    reasoning.hidden = pane.reasoning === "";
    setText(thought, pane.thought ? `Reasoning · ${pane.thought}` : "Reasoning");
    element.dataset["state"] = pane.state;
    element.classList.toggle("llm-textless", !hasText(pane) && pane.reasoning === "");
    const hasNewKey = (pane.key.retry ?? []).length > 0; // then only the retry is offered
    setText(status, hasNewKey ? "" : pane.status || (STATES[pane.state] ?? ""));
    const tone = hasNewKey ? "plain" : TONES[pane.state] ?? (pane.cut ? "plain" : "");
    ending.dataset["tone"] = tone;
    setText(footer, unbroken(pane.footer));
    footer.title = pane.hover;
    paintNotices(view, notices, pane);
    show(retryNow, pane.waits, element);
    show(stopOne, isOpen(pane), element);
    show(copyOne, !isOpen(pane) && hasText(pane), element);
    show(menu.element, !isOpen(pane), element);
  };
  /** @param {boolean} isCut */
  const offerAll = (isCut) => {
    const isAll = element.classList.contains("llm-all");
    element.classList.toggle("llm-cut", isCut && !isAll);
    show(all, isCut || isAll, element);
    setText(all, isAll ? "Show less" : "Show all");
    all.setAttribute("aria-label", `${all.textContent} of ${nameOf(number)}`);
    all.setAttribute("aria-expanded", String(isAll));
  };
  return {
    body, raw, difference, differs, more, all, thinking, copyOne, paintRest, offerAll,
    showCopied: (/** @type {boolean} */ done) => setText(copyOne, done ? "Copied" : "Copy"),
    clear: () => {
      view.localKeys.delete(menu.element);
      element.style.minHeight = `${element.offsetHeight}px`;
      element.replaceChildren();
    },
  };
}

/**
 * Figures that a line may break between, and not within: "$0.0005 · 1.9 s".
 * @param {string} figures
 */
function unbroken(figures) {
  return figures.replaceAll(" ", "\u00a0").replaceAll("\u00a0·\u00a0", "\u00a0· ");
}

/**
 * Whether a person has selected text in an element.
 * @param {HTMLElement} element
 */
function hasSelection(element) {
  const selection = document.getSelection();
  return selection !== null && !selection.isCollapsed && element.contains(selection.anchorNode);
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
function paintNotices(view, list, { number, notices, actions, key }) {
  const shown = JSON.stringify([notices, actions, key]);
  if (list.dataset["shown"] === shown) return;
  list.dataset["shown"] = shown;
  const retries = actions.map(({ label, changes }) => button(label, { class: "llm-inline" }, view.signal,
    () => view.model.send({ type: "retry", number, changes })));
  const lastButton = () => [...list.querySelectorAll("button")].at(-1) ?? list.closest("section");
  const repair = createKeyRepair(view, key, { focus: () => lastButton()?.focus() });
  const ways = key.retry ? [...retries, ...repair] : [...repair, ...retries];
  const hadFocus = list.contains(document.activeElement);
  list.replaceChildren(...notices.map((notice) => h("li", {}, notice)),
    ...(repair.length > 0 ? [h("li", { class: "llm-ways" }, ...ways)] : ways.map((way) => h("li", { class: "llm-retry" }, way))));
  if (hadFocus) lastButton()?.focus();
}

/**
 * The difference of an answer to its baseline. `line` says it in words: "2 words differ · same numbers".
 * @typedef {{parts: readonly import("./dom.js").DiffPart[], line: string}} Difference
 */
