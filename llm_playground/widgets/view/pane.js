// One answer. Text streams into one text node, appended at most once per animation frame; the
// finished answer is HTML sanitised in the kernel.

import { h, button, setText, show } from "./dom.js";
import { isOpen } from "./panes.js";

/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./panes.js").Pane} Pane */

/**
 * One pane on the page.
 * @typedef {object} PaneView
 * @property {HTMLElement} element
 * @property {(pane: Pane) => void} paint
 * @property {() => void} stop
 * @property {() => void} copy
 * @property {(direction: number) => void} scroll by one page
 */

const NEAR_THE_END_PX = 24;

/** @type {Record<string, string>} */
const STATES = {
  waiting: "Waiting", cancelled: "Stopped", failed: "Failed", blocked: "Blocked",
  interrupted: "Interrupted", over_budget: "Not sent",
};

/**
 * @param {View} view
 * @param {Pane} first
 * @returns {PaneView}
 */
export function createPane(view, { number, label }) {
  const { signal } = view;
  const text = document.createTextNode("");
  const body = h("div", { class: "llm-answer", "data-llm": "answer" }, text);
  const thinking = document.createTextNode("");
  const reasoning = h("details", { class: "llm-reasoning", hidden: true }, h("summary", {}, "Reasoning"),
    h("div", {}, thinking));
  const status = h("span", { class: "llm-status", "data-llm": "status" });
  const notices = h("ul", { class: "llm-notices" });
  const footer = h("p", { class: "llm-footer", "data-llm": "footer" });
  const stopOne = button("Stop", { class: "llm-link", hidden: true }, signal, () => stop());
  const copyOne = button("Copy", { class: "llm-link", hidden: true }, signal, () => copy());
  const more = button("↓ New text", { class: "llm-more", hidden: true }, signal, () => toTheEnd());
  const element = h("section", {
    role: "region", "aria-label": `Answer ${number}`, tabindex: "-1", class: "llm-pane",
    "data-llm": "pane", "data-number": number,
  }, h("header", {}, h("span", { class: "llm-ordinal" }, [number, label].filter(Boolean).join(" · ")), status, stopOne, copyOne),
  reasoning, h("div", { class: "llm-frame" }, body, more), notices, footer);

  /** @type {{following: boolean, pane: Pane | null}} */
  const state = { following: true, pane: null };
  const toTheEnd = () => {
    body.scrollTop = body.scrollHeight;
    state.following = true;
    show(more, false, element);
  };
  const stop = () => view.model.send({ type: "stop", number });
  const copy = () => {
    copyText(state.pane?.text ?? "", element).then((done) => {
      setText(copyOne, done ? "Copied" : "Copy");
      view.say(done ? `Answer ${number} copied.` : "The browser does not let the page copy.");
    });
  };
  body.addEventListener("scroll", () => {
    state.following = body.scrollHeight - body.scrollTop - body.clientHeight < NEAR_THE_END_PX;
    if (state.following) show(more, false, element);
  }, { signal });

  /** @param {Pane} pane */
  const paintBody = (pane) => {
    const before = state.pane;
    if (before && before.text === pane.text && before.html === pane.html) return;
    if (pane.html !== null) setSafeHtml(body, pane.html);
    else grow(text, pane.text);
    if (state.following) toTheEnd();
    else show(more, isOpen(pane), element);
  };
  /** @param {Pane} pane */
  const paint = (pane) => {
    if (pane === state.pane) return;
    paintBody(pane);
    grow(thinking, pane.reasoning);
    reasoning.hidden = pane.reasoning === "";
    element.dataset["state"] = pane.state;
    setText(status, pane.status || (STATES[pane.state] ?? ""));
    setText(footer, pane.footer);
    footer.title = pane.hover;
    notices.replaceChildren(...pane.notices.map((notice) => h("li", {}, notice)));
    show(stopOne, isOpen(pane), element);
    show(copyOne, !isOpen(pane) && pane.text !== "", element);
    state.pane = pane;
  };
  const scroll = (/** @type {number} */ direction) => body.scrollBy(0, direction * body.clientHeight * 0.9);
  return { element, paint, stop, copy, scroll };
}

/**
 * Append what is new; rewrite only when the text is another one.
 * @param {Text} node
 * @param {string} text
 */
function grow(node, text) {
  if (text.length === node.length) return;
  if (text.length > node.length) node.appendData(text.slice(node.length));
  else node.data = text;
}

/**
 * The kernel has sanitised it; the browser's own sanitizer, where there is one, does so again.
 * @param {HTMLElement} element
 * @param {string} html
 */
function setSafeHtml(element, html) {
  const careful = /** @type {{setHTML?: (html: string) => void}} */ (/** @type {unknown} */ (element));
  if (careful.setHTML) careful.setHTML(html);
  else element.innerHTML = html;
  element.classList.add("llm-rich");
  // A link opened here would leave the notebook.
  for (const link of element.querySelectorAll("a")) link.target = "_blank";
}

/**
 * Whether the text got into the clipboard. Without https the page has only the old way.
 * @param {string} text
 * @param {HTMLElement} place
 */
async function copyText(text, place) {
  if (navigator.clipboard) {
    return navigator.clipboard.writeText(text).then(() => true, () => false);
  }
  const focused = document.activeElement;
  const box = h("textarea", { class: "llm-offscreen", "aria-hidden": "true" });
  box.value = text;
  place.append(box);
  box.select();
  const done = document.execCommand("copy");
  box.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return done;
}
