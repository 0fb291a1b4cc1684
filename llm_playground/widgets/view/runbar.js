// Iterations, the price tag or what is wrong, Try one, Run.

import { h, button, follow, newId, setText, show } from "./dom.js";
import { createOverride } from "./override.js";
import { createPriceDialog } from "./pricedialog.js";
import { pressed, priceTag, runBar } from "./price.js";

/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./price.js").Question} Question */

// As long as a double click may take where nobody changed that (Windows, GNOME and macOS: 500, 400, 500).
const DOUBLE_CLICK_MS = 500;

/**
 * @typedef {object} RunBarView
 * @property {HTMLElement} element
 * @property {HTMLElement} dialog
 * @property {(one?: boolean) => void} press as Run or Try one
 * @property {() => boolean} close take back what is open or asked; whether something was
 */

/**
 * @param {View} view
 * @returns {RunBarView}
 */
export function createRunBar(view) {
  const { model, signal } = view;
  const price = h("span", { class: "llm-price", "data-llm": "price" });
  const problem = h("span", { class: "llm-problem", role: "alert", id: newId() });
  const run = button("Run", { class: "llm-run", "data-llm": "run" }, signal, () => press());
  const one = button("Try one", { class: "llm-one", "data-llm": "one" }, signal, () => press(true));
  // What had the focus may be gone by the time it is given back: JupyterLab would get the keys.
  const prices = createPriceDialog(view, () => setPrice.hidden && run.focus());
  const setPrice = button("Set price", { class: "llm-link", hidden: true }, signal, () => {
    prices.open(tag().unpriced);
  });
  const reason = createOverride(view, () => (override.hidden ? run : override).focus());
  const override = button("Override…", { class: "llm-link", hidden: true, "aria-expanded": "false" }, signal, () => {
    reason.open(tag().calls);
  });
  const element = h("div", { class: "llm-bar" }, ...createSpin(view, problem.id),
    h("div", { class: "llm-slot" }, price, setPrice, override, problem, reason.element),
    h("div", { class: "llm-go" }, one, run));

  /** @type {{question: Question | null, waiting: ReturnType<typeof setTimeout> | undefined}} */
  const state = { question: null, waiting: undefined };
  const tag = () => priceTag(model.get("price"));
  /** Whether there was something to take back. */
  const takeBack = () => {
    const was = state.question !== null;
    state.question = null;
    if (was) paint();
    return was;
  };
  const press = (single = false) => {
    if (model.get("running")) return;
    if ((single ? one : run).getAttribute("aria-disabled") === "true") return view.say(price.textContent ?? "");
    const sent = pressed(tag(), state.question, single);
    state.question = null;
    view.run(sent);
    paint();
  };
  const paint = () => {
    const bar = runBar(tag(), state.question, model.get("problem"), model.get("running"));
    setText(price, bar.line);
    price.dataset["tone"] = bar.tone;
    price.title = bar.hover;
    setText(problem, bar.problem);
    for (const [element, said] of /** @type {const} */ ([[run, bar.run], [one, bar.one]])) {
      setText(element, said.text);
      element.title = said.title;
      element.setAttribute("aria-disabled", String(said.off));
    }
    show(setPrice, bar.setPrice, run);
    show(override, bar.override && !reason.isOpen(), run);
    if (!bar.override) reason.close();
  };
  /** @param {Question & {type: string, view: string}} message */
  const hear = (message) => {
    if (message.view !== view.id) return;
    if (message.type === "look") view.say(message.says);
    if (message.type !== "confirm") return;
    const question = { ...message, ready: false };
    state.question = question;
    clearTimeout(state.waiting);
    state.waiting = setTimeout(() => {
      question.ready = true;
      paint();
    }, DOUBLE_CLICK_MS);
    paint();
    view.say(`${message.says}, ${message.button.replace(/^.* · /, "")}. Escape takes it back.`);
  };
  model.on("msg:custom", hear);
  signal.addEventListener("abort", () => {
    model.off("msg:custom", hear);
    clearTimeout(state.waiting);
  });
  for (const trait of view.formTraits) {
    model.on(`change:${trait}`, takeBack);
    signal.addEventListener("abort", () => model.off(`change:${trait}`, takeBack));
  }
  reason.onChange(paint);
  follow(view, ["price", "problem", "running"], paint);
  return { element, dialog: prices.element, press, close: () => prices.close() || reason.close() || takeBack() };
}

/**
 * Iterations, with its label.
 * @param {View} view
 * @param {string} problem the id of what says what is wrong
 * @returns {HTMLElement[]}
 */
function createSpin(view, problem) {
  const id = newId();
  const spin = h("input", {
    type: "number", id, min: 1, max: 1000, step: 1, "data-llm": "iterations", "aria-describedby": problem,
  });
  const edit = () => view.edit("iterations", spin.value === "" ? null : Number(spin.value));
  spin.addEventListener("input", edit, { signal: view.signal });
  follow(view, ["problem"], () => {
    spin.setAttribute("aria-invalid", String(/^iterations\b/.test(view.model.get("problem"))));
  });
  follow(view, ["iterations"], () => {
    const iterations = view.model.get("iterations");
    if (document.activeElement !== spin) spin.value = iterations === null ? "" : String(iterations);
  });
  return [h("label", { for: id, class: "llm-label" }, "Iterations"), spin];
}
