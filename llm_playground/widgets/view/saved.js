// What outlives the panel, as one view shows it: the draft's words in the heading, the line over
// answers of another time, and what is said when the kernel does not hear. While this view lives
// it hides the notebook's own copy of the answers, which is there for when no view is.

import { h, button, follow, setText } from "./dom.js";
import { draftWords, savedLine, vitals, vitalsLine } from "./survival.js";

/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./survival.js").Vitals} Vitals */

/**
 * A kernel as Jupyter's widget manager knows it; other front ends have none.
 * @typedef {object} Kernel
 * @property {string} status
 * @property {string} connectionStatus
 * @property {Signal} statusChanged
 * @property {Signal} connectionStatusChanged
 */

/**
 * @typedef {object} Signal
 * @property {(slot: () => void) => void} connect
 * @property {(slot: () => void) => void} disconnect
 */

const PING_EVERY_MS = 2_000;
const PATIENCE_MS = 1_000;

/**
 * The draft's words beside the name, with Discard or Undo.
 * @param {View} view
 */
export function createDraftWords(view) {
  const words = h("span", { class: "llm-draft-words", "data-llm": "draft" });
  const act = button("", { class: "llm-link", hidden: true }, view.signal, () => {
    const what = act.textContent === "Undo" ? "restore_draft" : "discard_draft";
    view.ask(what).catch((error) => view.say(error.message));
  });
  const element = h("span", { class: "llm-draft" }, words, act);
  follow(view, ["draft"], () => {
    const { text, title, action } = draftWords(view.model.get("draft"));
    setText(words, text && `· ${text}`);
    words.title = title;
    // Whoever has just pressed it keeps the focus: it becomes the way back.
    setText(act, action);
    act.hidden = action === "" && document.activeElement !== act;
  });
  return element;
}

/**
 * The line over the answers.
 * @param {View} view
 * @param {Element} head where the answers' own line is, which this one replaces
 */
export function createSavedLine(view, head) {
  const words = h("span", { "data-llm": "saved-line" });
  const wrong = h("span", { class: "llm-problem", role: "alert" });
  const fetch = button("Import them", { class: "llm-link" }, view.signal, () => {
    view.ask("import_runs").then(
      (count) => view.say(`${count} runs imported.`),
      (error) => setText(wrong, error.message));
  });
  const fresh = button("Run fresh", { class: "llm-link" }, view.signal, () => view.run());
  const element = h("span", { class: "llm-saved" }, words, fetch, fresh, wrong);
  head.prepend(element);
  follow(view, ["saved"], () => {
    const { text, canImport } = savedLine(view.model.get("saved"));
    setText(words, text);
    setText(wrong, "");
    fetch.hidden = !canImport;
    element.hidden = text === "";
    head.classList.toggle("llm-has-saved", text !== "");
  });
}

/**
 * Hide the notebook's copy of the answers as long as this view lives.
 * @param {View} view
 * @param {HTMLElement} el
 */
export function hideCopy({ model, signal }, el) {
  const copy = `[data-llm="saved"][data-id="${CSS.escape(model.get("saved_id"))}"]`;
  const style = h("style", {}, `.jp-OutputArea-child:has(${copy}), ${copy} { display: none; }`);
  el.append(style);
  signal.addEventListener("abort", () => style.remove());
}

/**
 * Watches whether the kernel hears, and says so when it does not.
 * @param {View} view
 * @param {{resume: () => void, end: () => void}} sheet what to do when the connection is back, and
 *   when the kernel has ended
 */
export function createVitals(view, { resume, end }) {
  const line = h("p", { class: "llm-vitals", role: "status", "data-llm": "vitals", hidden: true });
  const kernel = kernelOf(view.model);
  /** @type {{now: Vitals, heard: boolean}} */
  const state = { now: "well", heard: false };
  const paint = () => {
    const text = vitalsLine(state.now, view.model.get("running"));
    setText(line, text);
    line.hidden = text === "";
  };
  /** @param {boolean} answered */
  const look = (answered) => {
    const before = state.now;
    const { status, connectionStatus: connection } = kernel ?? {};
    state.now = vitals(before, { ...(status && { status }), ...(connection && { connection }), answered });
    if (state.now === "gone" && before !== "gone") end();
    if (before === "away" && state.now === "well") resume();
    paint();
  };
  const ping = () => {
    if (state.now === "gone") return;
    const late = setTimeout(() => look(false), PATIENCE_MS);
    view.ask("ping").then(() => {
      clearTimeout(late);
      look(true);
    }, () => clearTimeout(late));
  };
  const changed = () => look(state.now !== "busy");
  kernel?.statusChanged.connect(changed);
  kernel?.connectionStatusChanged.connect(changed);
  view.model.on("comm_live_update", changed);
  const timer = setInterval(() => view.model.get("running") && ping(), PING_EVERY_MS);
  view.signal.addEventListener("abort", () => {
    clearInterval(timer);
    kernel?.statusChanged.disconnect(changed);
    kernel?.connectionStatusChanged.disconnect(changed);
    view.model.off("comm_live_update", changed);
  });
  follow(view, ["running"], paint);
  return { element: line, ping };
}

/**
 * @param {import("./dom.js").Model} model
 * @returns {Kernel | null}
 */
function kernelOf(model) {
  const { widget_manager: manager } = /** @type {{widget_manager?: {kernel?: Kernel | null}}} */ (
    /** @type {unknown} */ (model));
  const kernel = manager?.kernel;
  return kernel?.statusChanged && kernel.connectionStatusChanged ? kernel : null;
}
