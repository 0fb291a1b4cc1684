// One view of a playground: puts the parts together, hears the kernel and the keys.

import { h, follow, frontEnd, newId, setText } from "./dom.js";
import { createLink } from "./link.js";
import { createPicker } from "./picker.js";
import { createPrompts } from "./prompts.js";
import { createParameters } from "./parameters.js";
import { createRunBar } from "./runbar.js";
import { createAnswers } from "./answers.js";
import { createKeysDialog } from "./keysdialog.js";
import { createTools } from "./tools.js";
import { createDraftWords, createSavedLine, createVitals, hideCopy, mendCopy } from "./saved.js";
import { EMPTY_SHEET, announcement, cutShort, receive } from "./panes.js";
import { keyAction, staysHere } from "./keys.js";

/** @typedef {import("./dom.js").Model} Model */
/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./panes.js").Message} Message */
/** @typedef {import("./keys.js").Place} Place */

const MESSAGES = new Set(["run", "events", "snapshot"]);
const SAVE_AFTER_MS = 150;
const FORM_TRAITS = [
  "prompt", "system", "models", "temperature", "top_p", "max_tokens", "reasoning_effort", "stop_at", "seed",
  "top_k", "presence_penalty", "frequency_penalty", "preset", "iterations",
  "turns", "values", "cases", "images",
];

/**
 * What anywidget calls for each view.
 * @param {{model: Model, el: HTMLElement}} context
 */
function render({ model, el }) {
  const ending = new AbortController();
  const live = h("p", { class: "llm-offscreen", "aria-live": "polite" });
  const view = createView(model, ending.signal, live);
  const picker = createPicker(view);
  const prompts = createPrompts(view);
  const keys = createKeysDialog(view);
  const heading = h("h3", {});
  const answers = createAnswers(view);
  const bar = createRunBar(view);
  const tools = createTools(view, keys);
  el.classList.add("llm-playground");
  el.append(
    h("header", { class: "llm-heading" }, heading, createDraftWords(view), tools.element),
    tools.lines, picker.element,
    h("div", { class: "llm-form" }, prompts.element, createParameters(view, el)),
    bar.element, answers.element, live, keys.element, bar.dialog, ...tools.dialogs);
  answers.tools.after(tools.leaving);
  follow(view, ["name"], () => setText(heading, model.get("name") ?? "Playground"));
  const heard = hearKernel(view, (sheet) => {
    answers.paint(sheet);
    tools.paint(sheet);
  });
  const { element: line, ping } = createVitals(view, heard);
  bar.element.after(line);
  view.afterRun = ping;
  createSavedLine(view, /** @type {Element} */ (answers.element.firstElementChild));
  hideCopy(view, el);
  mendCopy(view);
  hearKeys(view, el, { picker, prompt: prompts.box, keys, answers, bar, tools });
  return () => ending.abort();
}

/**
 * @param {Model} model
 * @param {AbortSignal} signal
 * @param {HTMLElement} live
 * @returns {View}
 */
function createView(model, signal, live) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let saving;
  const save = () => {
    clearTimeout(saving);
    saving = undefined;
    model.save_changes();
  };
  signal.addEventListener("abort", () => saving !== undefined && save());
  /** @type {View} */
  const view = {
    model,
    signal,
    edit: (name, value) => {
      model.set(name, value);
      saving ??= setTimeout(save, SAVE_AFTER_MS);
    },
    // The form goes with the message: a trait's own message may wait behind another.
    id: newId(),
    formTraits: FORM_TRAITS,
    run: (given = {}) => {
      if (model.get("running")) return;
      save();
      const form = Object.fromEntries(FORM_TRAITS.map((trait) => [trait, model.get(trait)]));
      model.send({ type: "run", form, view: view.id, ...given });
      view.afterRun();
    },
    settle: () => saving !== undefined && save(),
    say: (sentence) => setText(live, sentence),
    ask: createLink(model, signal),
    afterRun: () => {},
    localKeys: new Map(),
    answerItems: [],
  };
  return view;
}

/**
 * Fold the kernel's messages into a sheet and paint it, at most once per frame.
 * @param {View} view
 * @param {(sheet: import("./panes.js").Sheet) => void} paint
 */
function hearKernel({ model, signal, say }, paint) {
  const name = newId();
  let sheet = EMPTY_SHEET;
  let frame = 0;
  /** @param {Message} message */
  const hear = (message) => {
    if (!MESSAGES.has(message.type) || (message.type === "snapshot" && ![name, null].includes(message.view))) return;
    const before = sheet;
    sheet = receive(sheet, message);
    const sentence = announcement(before, sheet);
    if (sentence && message.type !== "snapshot") say(sentence);
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      paint(sheet);
    });
  };
  model.on("msg:custom", hear);
  signal.addEventListener("abort", () => {
    model.off("msg:custom", hear);
    cancelAnimationFrame(frame);
  });
  paint(sheet);
  const resume = () => model.send({ type: "sync", view: name, frontEnd: frontEnd() });
  resume();
  return {
    resume,
    end: () => {
      sheet = cutShort(sheet);
      paint(sheet);
    },
  };
}

/**
 * @typedef {object} Parts
 * @property {ReturnType<typeof createPicker>} picker
 * @property {HTMLTextAreaElement} prompt
 * @property {ReturnType<typeof createKeysDialog>} keys
 * @property {ReturnType<typeof createAnswers>} answers
 * @property {import("./runbar.js").RunBarView} bar
 * @property {import("./tools.js").Tools} tools
 */

/**
 * The one listener: keys stay in the panel (see keys.js) and do what they say there. It is on the
 * window, in the capture phase, because Notebook 7 takes its keys on the document in that phase;
 * what the browser itself does with a key is not touched by stopping the event's way.
 * @param {View} view
 * @param {HTMLElement} el
 * @param {Parts} parts
 */
function hearKeys(view, el, { picker, prompt, keys, answers, bar, tools }) {
  /** @type {Record<import("./keys.js").KeyAction, (event: KeyboardEvent) => void>} */
  const acts = {
    // A key that is held down is pressed once.
    run: (event) => event.repeat || bar.press(),
    one: (event) => event.repeat || bar.press(true),
    escape: () => {
      if (keys.close() || picker.close() || bar.close()) return;
      const cell = el.closest(".jp-Cell");
      if (cell instanceof HTMLElement) cell.focus();
    },
    keys: () => keys.open(),
    stopAll: () => view.model.send({ type: "stop" }),
    stop: (event) => {
      const number = answers.numberAt(event.target);
      if (number) view.model.send({ type: "stop", number });
    },
    retry: (event) => answers.retry(answers.numberAt(event.target)),
    pin: (event) => answers.pin(answers.numberAt(event.target)),
    enlarge: (event) => answers.pane(answers.numberAt(event.target))?.enlarge(),
    difference: () => answers.toggleDifference(),
    onlyDifferent: () => answers.toggleOnlyDifferent(),
    wire: (event) => tools.wire.open(answers.numberAt(event.target)),
    history: () => tools.history.open(),
    copy: (event) => answers.pane(answers.numberAt(event.target))?.copy(),
    prompt: () => prompt.focus(),
    model: () => picker.input.focus(),
    move: (event) => answers.move(answers.numberAt(event.target), event.key),
    scroll: (event) => answers.pane(answers.numberAt(event.target))?.scroll(event.key === "PageUp" ? -1 : 1),
  };
  /** @param {KeyboardEvent} event */
  const hear = (event) => {
    if (!event.composedPath().includes(el)) return;
    if (staysHere(event)) event.stopImmediatePropagation();
    if (event.isComposing) return;
    if (takenLocally(view, event)) return event.preventDefault();
    const action = keyAction(event, placeOf(event.target));
    if (action !== null) acts[action](event);
    if (action !== null || picker.key(event)) event.preventDefault();
  };
  window.addEventListener("keydown", hear, { capture: true, signal: view.signal });
}

/**
 * Whether a part that the focus is in did something with a key.
 * @param {View} view
 * @param {KeyboardEvent} event
 */
function takenLocally({ localKeys }, event) {
  const path = event.composedPath();
  return [...localKeys].some(([part, take]) => path.includes(part) && take(event));
}

/**
 * @param {EventTarget | null} target
 * @returns {Place}
 */
function placeOf(target) {
  if (target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return "text";
  if (target instanceof HTMLInputElement) return target.type === "range" ? "slider" : "text";
  if (!(target instanceof Element)) return "control";
  if (target.closest("dialog")) return "text"; // what is behind the dialog does nothing
  if (target.matches("[data-llm=pane]")) return "pane";
  return target.closest("[data-llm=pane]") ? "answer" : "control";
}

export default { render };
