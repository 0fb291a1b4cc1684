// One view of a playground: assembles the parts, applies the kernel's messages and handles keys.

import { NO_ANSWERS, announcement, applyMessage, interruptAll } from "./answer_state.js";
import { createAnswers } from "./answers.js";
import { createKeyDialog } from "./api_keys.js";
import { follow, frontEnd, h, newId, setText } from "./dom.js";
import { createToolbar } from "./export.js";
import { createConnectionStatus, createRequester } from "./kernel.js";
import { isCaptured, keyAction } from "./keyboard.js";
import { createPicker } from "./model_picker.js";
import { createKeysDialog } from "./overlay.js";
import { createParameters } from "./parameters.js";
import { hideSavedCopy, keepFullHeight, repairSavedCopy, storeLittle, wholeModel } from "./notebook_cell.js";
import { createPrompts } from "./prompts.js";
import { createDraftStatus, createSavedLine } from "./restore.js";
import { createRunBar } from "./run_bar.js";
import { walk } from "./run_walk.js";
import { createStatusLine, createUndo } from "./status_line.js";
import { renderSaved } from "./saved_view.js";
import { mergedValue } from "./shared_text.js";

/** @typedef {import("./answer_state.js").Message} Message */
/** @typedef {import("./dom.js").Model} Model */
/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./keyboard.js").FocusArea} FocusArea */

const MESSAGES = new Set(["run", "events", "snapshot", "baseline"]);
const SAVE_AFTER_MS = 150;
const PAGE = newId(); // distinguishes this window from others of the same notebook
const FORM_TRAITS = [
  "prompt", "system", "models", "temperature", "top_p", "max_tokens", "reasoning_effort", "stop_at", "seed",
  "top_k", "presence_penalty", "frequency_penalty", "preset", "iterations",
  "turns", "values", "cases", "images", "files",
];

/**
 * Called by anywidget for each view.
 * @param {{model: Model, el: HTMLElement}} context
 */
async function render({ model, el }) {
  const whole = await wholeModel(model);
  if (whole?.comm_live === false) return renderSaved({ model, el });
  if (whole !== null) storeLittle(whole);
  const controller = new AbortController();
  const live = h("p", { class: "llm-offscreen", "aria-live": "polite" });
  const view = createView(model, controller.signal, live);
  const picker = createPicker(view);
  const prompts = createPrompts(view);
  const keys = createKeysDialog(view);
  const heading = h("h3", {});
  const answers = createAnswers(view);
  const bar = createRunBar(view);
  const toolbar = createToolbar(view, keys);
  el.classList.add("llm-playground");
  el.tabIndex = -1; // a click beside the controls focuses the panel, not the cell, whose keys cut it
  el.append(
    h("header", { class: "llm-heading" }, heading, createDraftStatus(view), toolbar.element),
    picker.element,
    h("div", { class: "llm-form" }, prompts.element, createParameters(view, el)),
    bar.element, answers.element, live, keys.element, view.keyDialog.element, bar.dialog, ...toolbar.dialogs);
  answers.tools.after(toolbar.exportMenu);
  follow(view, ["name"], () => setText(heading, model.get("name") ?? "Playground"));
  const updates = followAnswers(view, (state) => {
    answers.paint(state);
    toolbar.paint(state);
  });
  const connection = createConnectionStatus(view, updates);
  bar.slot.append(connection.element);
  view.afterRun = connection.ping;
  // The focus goes to the answers, once they are painted; the form above them, which has changed too, is in view.
  view.afterOpen = () => requestAnimationFrame(() => {
    if (!answers.focusFirst()) el.focus({ preventScroll: true });
    heading.scrollIntoView({ block: "nearest" });
  });
  createSavedLine(view, answers.lead);
  hideSavedCopy(view, el);
  repairSavedCopy(view);
  keepFullHeight(view, el);
  listenForKeys(view, el, { picker, prompt: prompts.box, keys, answers, bar, toolbar });
  return () => controller.abort();
}

/**
 * @param {Model} model
 * @param {AbortSignal} signal
 * @param {HTMLElement} live
 * @returns {View}
 */
function createView(model, signal, live) {
  const edits = createEdits(model, signal);
  const request = createRequester(model, signal);
  /** @type {View} */
  const view = {
    model,
    signal,
    edit: edits.edit,
    id: newId(),
    formTraits: FORM_TRAITS,
    // The message carries the form: changes of traits may arrive later.
    run: (extra = {}) => {
      if (model.get("running")) return;
      edits.flush();
      const form = Object.fromEntries(FORM_TRAITS.map((trait) => [trait, model.get(trait)]));
      model.send({ type: "run", form, view: view.id, ...extra });
      view.afterRun();
    },
    flush: edits.flush,
    announce: (sentence) => setText(live, sentence),
    status: createStatusLine(signal),
    keyDialog: /** @type {any} */ (null), // needs the view itself
    request: (name, args) => {
      edits.flush(); // what the kernel changes then is no change to merge
      return request(name, args);
    },
    offerUndo: (sentence, undo) => createUndo(view).offer(sentence, undo),
    afterRun: () => {},
    afterOpen: () => {},
    localKeys: new Map(),
    answerMenuItems: [],
  };
  view.keyDialog = createKeyDialog(view);
  return view;
}

/**
 * Changes of the form made in this view: sent after a short pause, and merged with those that other
 * windows made meanwhile.
 * @param {Model} model
 * @param {AbortSignal} signal
 */
function createEdits(model, signal) {
  /** @type {Map<string, {base: unknown, local: unknown}>} */
  const unsent = new Map();
  let sent = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let saving;
  const save = () => {
    clearTimeout(saving);
    saving = undefined;
    if (unsent.has("prompt") || unsent.has("system")) {
      const { revision } = model.get("seen");
      sent += 1; // only a changed trait is sent
      model.set("seen", { view: PAGE, revision, sent });
    }
    unsent.clear();
    model.save_changes();
  };
  /** @param {string} name @param {unknown} value */
  const edit = (name, value) => {
    const base = (unsent.get(name) ?? { base: model.get(name) }).base;
    unsent.set(name, { base, local: value });
    model.set(name, value);
    saving ??= setTimeout(save, SAVE_AFTER_MS);
  };
  /** @param {string} name */
  const onChange = (name) => {
    const change = unsent.get(name);
    const remote = model.get(name);
    if (change === undefined || remote === change.local) return;
    const merged = mergedValue(change.base, change.local, remote);
    unsent.delete(name);
    if (merged !== remote) edit(name, merged);
  };
  for (const name of FORM_TRAITS) {
    const listener = () => onChange(name);
    model.on(`change:${name}`, listener);
    signal.addEventListener("abort", () => model.off(`change:${name}`, listener));
  }
  const flush = () => {
    if (saving !== undefined) save();
  };
  signal.addEventListener("abort", flush);
  return { edit, flush };
}

/**
 * Apply the kernel's messages to the answers and paint them, at most once per frame.
 * @param {View} view
 * @param {(answers: import("./answer_state.js").AnswerSet) => void} paint
 */
function followAnswers({ model, signal, announce }, paint) {
  const id = newId();
  let answers = NO_ANSWERS;
  let frame = 0;
  /** @param {Message} message */
  const onMessage = (message) => {
    if (!MESSAGES.has(message.type) || (message.type === "snapshot" && ![id, null].includes(message.view))) return;
    const before = answers;
    answers = applyMessage(answers, message);
    const sentence = announcement(before, answers);
    if (sentence && message.type !== "snapshot") announce(sentence);
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      paint(answers);
    });
  };
  model.on("msg:custom", onMessage);
  signal.addEventListener("abort", () => {
    model.off("msg:custom", onMessage);
    cancelAnimationFrame(frame);
  });
  paint(answers);
  const resume = () => model.send({ type: "sync", view: id, frontEnd: frontEnd() });
  resume();
  return {
    resume,
    interrupt: () => {
      answers = interruptAll(answers);
      paint(answers);
    },
  };
}

/**
 * @typedef {object} Parts
 * @property {ReturnType<typeof createPicker>} picker
 * @property {HTMLTextAreaElement} prompt
 * @property {ReturnType<typeof createKeysDialog>} keys
 * @property {ReturnType<typeof createAnswers>} answers
 * @property {import("./run_bar.js").RunBarView} bar
 * @property {import("./export.js").Toolbar} toolbar
 */

/**
 * Handle all keys of the panel, as keyboard.js defines them. The listener is on the window in the
 * capture phase because Notebook 7 listens on the document in that phase. Stopping propagation does
 * not change the browser's default action for a key.
 * @param {View} view
 * @param {HTMLElement} el
 * @param {Parts} parts
 */
function listenForKeys(view, el, { picker, prompt, keys, answers, bar, toolbar }) {
  /** @type {Record<import("./keyboard.js").KeyAction, (event: KeyboardEvent) => void>} */
  const actions = {
    // Holding the key down counts as one press.
    run: (event) => event.repeat || bar.press(),
    one: (event) => event.repeat || bar.press(true),
    escape: ({ target }) => {
      if (keys.close() || picker.close() || bar.close()) return;
      const place = focusAreaOf(target) === "text" ? placeAround(target, el) : el.closest(".jp-Cell");
      if (place instanceof HTMLElement) place.focus({ preventScroll: true });
    },
    keys: () => keys.open(),
    stopAll: () => view.model.send({ type: "stop" }),
    stop: (event) => {
      const number = answers.numberAt(event.target);
      if (number) view.model.send({ type: "stop", number });
    },
    retry: (event) => answers.retry(answers.numberAt(event.target)),
    pin: (event) => answers.pin(answers.numberAt(event.target)),
    enlarge: (event) => answers.pane(answers.numberAt(event.target))?.toggleAll(),
    difference: () => answers.toggleDifference(),
    onlyDifferent: () => answers.toggleOnlyDifferent(),
    onlyFailed: () => answers.toggleOnlyFailed(),
    asText: () => answers.toggleText(),
    wire: (event) => toolbar.inspector.open(answers.numberAt(event.target)),
    history: () => toolbar.history.open(),
    earlier: () => walk(view, -1),
    later: () => walk(view, 1),
    copy: (event) => answers.pane(answers.numberAt(event.target))?.copy(),
    prompt: () => prompt.focus(),
    answers: () => answers.focus() || view.status.say("No answers yet."),
    model: () => picker.input.focus(),
    move: (event) => answers.move(answers.numberAt(event.target), event.key),
    scroll: (event) => answers.pane(answers.numberAt(event.target))?.scroll(event.key === "PageUp" ? -1 : 1),
  };
  /** @param {KeyboardEvent} event */
  const onKeyDown = (event) => {
    if (!event.composedPath().includes(el)) return;
    if (isCaptured(event)) event.stopImmediatePropagation();
    if (event.isComposing) return;
    if (handledLocally(view, event)) return event.preventDefault();
    const action = keyAction(event, focusAreaOf(event.target));
    if (action !== null) actions[action](event);
    if (action !== null || picker.key(event)) event.preventDefault();
  };
  window.addEventListener("keydown", onKeyDown, { capture: true, signal: view.signal });
}

/**
 * Pass a key to the handlers of elements that contain the focus; returns whether one handled it.
 * @param {View} view
 * @param {KeyboardEvent} event
 */
function handledLocally({ localKeys }, event) {
  const path = event.composedPath();
  return [...localKeys].some(([part, onKey]) => path.includes(part) && onKey(event));
}

// The parts of the form that get the focus when a text box in them is left.
const PLACES = ".llm-text, .llm-control, .llm-saver, .llm-var, .llm-models, .llm-attachments, .llm-bar";

/**
 * What gets the focus when a text box is left: the part of the form around it, so that the single keys
 * work and Tab goes on from there.
 * @param {EventTarget | null} target
 * @param {HTMLElement} el the panel
 */
function placeAround(target, el) {
  const place = target instanceof Element ? target.closest(PLACES) : null;
  if (!(place instanceof HTMLElement)) return el;
  place.tabIndex = -1;
  return place;
}

/**
 * @param {EventTarget | null} target
 * @returns {FocusArea}
 */
function focusAreaOf(target) {
  if (target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return "text";
  if (target instanceof HTMLInputElement) return target.type === "range" ? "slider" : "text";
  if (!(target instanceof Element)) return "control";
  if (target.closest("dialog")) return "text"; // the shortcuts are off while a dialog is open
  if (target.matches(".llm-pane")) return "pane";
  return target.closest(".llm-pane") ? "answer" : "control";
}

export default { render };
