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
const COPY_AFTER_MS = 1_500;
const VIEW_MIME = "application/vnd.jupyter.widget-view+json";

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
 * An output area's outputs, as JupyterLab's notebook model has them.
 * @typedef {object} Outputs
 * @property {number} length
 * @property {(at: number) => {toJSON: () => any}} get
 * @property {(at: number, output: unknown) => void} set
 * @property {(output: unknown) => void} add
 */

/**
 * Put the copy into the notebook where the kernel's own message did not arrive: JupyterLab drops
 * it on a page that was loaded after the cell was executed.
 * @param {View} view
 */
export function mendCopy(view) {
  const { model, signal } = view;
  const id = model.get("saved_id");
  /** @param {number} count */
  const mend = async (count) => {
    const areas = outputAreas(model);
    const seen = areas.some((area) => places(area, `data-id="${id}" data-count="${count}"`).length > 0);
    if (signal.aborted || seen || model.get("saved_count") !== count) return;
    const { widget, data, metadata } = await view.ask("copy");
    const output = { output_type: "display_data", data, metadata };
    for (const area of areas.filter((outputs) => places(outputs, widget).length > 0)) {
      const [at] = places(area, `data-id="${id}"`);
      if (at === undefined) area.add(output);
      else area.set(at, output);
    }
  };
  follow(view, ["saved_count"], () => {
    const count = model.get("saved_count");
    if (count > 0) setTimeout(() => mend(count).catch(() => {}), COPY_AFTER_MS);
  });
}

/**
 * Which outputs mention a text, in their HTML or as the widget's view.
 * @param {Outputs} outputs
 * @param {string} text
 */
function places(outputs, text) {
  const found = [];
  for (let at = 0; at < outputs.length; at += 1) {
    const data = outputs.get(at).toJSON().data ?? {};
    const mentioned = [data["text/html"] ?? "", data[VIEW_MIME]?.model_id ?? ""].flat().join("");
    if (mentioned.includes(text)) found.push(at);
  }
  return found;
}

/**
 * The outputs of every cell, where the front end lets a view have them.
 * @param {import("./dom.js").Model} model
 * @returns {Outputs[]}
 */
function outputAreas(model) {
  const { widget_manager: manager } = /** @type {any} */ (model);
  /** @type {Iterable<{outputs?: Outputs}>} */
  const cells = manager?.context?.model?.cells ?? [];
  return [...cells].flatMap(({ outputs }) => outputs ?? []);
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
