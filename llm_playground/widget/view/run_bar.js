// The run bar: iterations, price or problem, Try one, Run; the budget override and the price dialog.

import { plural } from "./answer_state.js";
import { button, createCopy, follow, h, newId, setText, show } from "./dom.js";
import { createDialog } from "./overlay.js";
import { configureLine, parseAmount, pricePreview, runArguments, runBarState } from "./price.js";

/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./price.js").Confirmation} Confirmation */

// The longest default double-click time (Windows and macOS: 500, GNOME: 400).
const DOUBLE_CLICK_MS = 500;

/**
 * @typedef {object} RunBarView
 * @property {HTMLElement} element
 * @property {HTMLElement} slot takes lines about what cannot be done now
 * @property {HTMLElement} dialog
 * @property {(one?: boolean) => void} press Run or Try one
 * @property {() => boolean} close close what is open or cancel the confirmation;
 *   returns whether there was either
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
  // If "Set price" is hidden by then, the focus would leave the panel and JupyterLab would get the keys.
  const prices = createPriceDialog(view, () => setPrice.hidden && run.focus());
  const setPrice = button("Set price", { class: "llm-link", hidden: true }, signal, () => {
    prices.open(preview().unpriced);
  });
  const reason = createOverride(view, () => (override.hidden ? run : override).focus());
  const override = button("Override…", { class: "llm-link", hidden: true, "aria-expanded": "false" }, signal, () => {
    reason.open(preview().calls);
  });
  const stop = createStopAll(view);
  const slot = h("div", { class: "llm-slot" }, price, setPrice, override, problem, reason.element);
  const element = h("div", { class: "llm-bar" }, ...createSpin(view, problem.id), slot,
    h("div", { class: "llm-go" }, one, h("span", { class: "llm-one-place" }, run, stop)));

  /** @type {{confirmation: Confirmation | null, timer: ReturnType<typeof setTimeout> | undefined}} */
  const state = { confirmation: null, timer: undefined };
  const preview = () => pricePreview(model.get("price"));
  /** Returns whether a confirmation was pending. */
  const cancelConfirmation = () => {
    const wasPending = state.confirmation !== null;
    state.confirmation = null;
    if (wasPending) paint();
    return wasPending;
  };
  const press = (single = false) => {
    if (model.get("running")) return;
    if ((single ? one : run).getAttribute("aria-disabled") === "true") return view.announce(price.textContent ?? "");
    const extra = runArguments(preview(), state.confirmation, single);
    state.confirmation = null;
    view.status.clear(); // the summary of the new Run stands there
    view.run(extra);
    paint();
  };
  const paint = () => {
    const bar = runBarState(preview(), state.confirmation, model.get("problem"), model.get("running"));
    setText(price, bar.line);
    price.dataset["tone"] = bar.tone;
    price.title = bar.hover;
    setText(problem, bar.problem);
    for (const [element, shown] of /** @type {const} */ ([[run, bar.run], [one, bar.one]])) {
      setText(element, shown.text);
      element.title = shown.title;
      element.setAttribute("aria-disabled", String(shown.off));
    }
    show(setPrice, bar.setPrice, run);
    show(override, bar.override && !reason.isOpen(), run);
    if (!bar.override) reason.close();
    exchange(run, stop, model.get("running"));
  };
  /** @param {Confirmation & {type: string, view: string}} content */
  const onMessage = (content) => {
    if (content.view !== view.id) return;
    if (content.type === "notice") view.status.say(content.message);
    if (content.type !== "confirm") return;
    const confirmation = { ...content, ready: false };
    state.confirmation = confirmation;
    clearTimeout(state.timer);
    state.timer = setTimeout(() => {
      confirmation.ready = true;
      paint();
    }, DOUBLE_CLICK_MS);
    paint();
    view.announce(`${content.message}, ${content.button.replace(/^.* · /, "")}. Press Escape to cancel.`);
  };
  model.on("msg:custom", onMessage);
  signal.addEventListener("abort", () => {
    model.off("msg:custom", onMessage);
    clearTimeout(state.timer);
  });
  for (const trait of view.formTraits) {
    model.on(`change:${trait}`, cancelConfirmation);
    signal.addEventListener("abort", () => model.off(`change:${trait}`, cancelConfirmation));
  }
  reason.onChange(paint);
  follow(view, ["price", "problem", "running"], paint);
  const close = () => prices.close() || reason.close() || cancelConfirmation();
  return { element, slot, dialog: prices.element, press, close };
}

/**
 * Create the button that takes the place of Run while calls are running. The second half of a double
 * click on Run, and its key that is held down, do not press it.
 * @param {View} view
 */
function createStopAll({ model, signal }) {
  const stop = h("button", { type: "button", class: "llm-stop", "data-llm": "stop" }, "Stop all");
  stop.addEventListener("click", ({ detail }) => detail > 1 || model.send({ type: "stop" }), { signal });
  stop.addEventListener("keydown", (event) => event.repeat && event.preventDefault(), { signal });
  return stop;
}

/**
 * Show the second of two elements that stand in one place, or the first; the focus stays in the place.
 * @param {HTMLElement} first
 * @param {HTMLElement} second
 * @param {boolean} isSecond
 */
function exchange(first, second, isSecond) {
  const [shown, hidden] = isSecond ? [second, first] : [first, second];
  shown.classList.remove("llm-invisible");
  if (document.activeElement === hidden) shown.focus({ preventScroll: true });
  hidden.classList.add("llm-invisible");
}

/**
 * Create the field for iterations, with its label.
 * @param {View} view
 * @param {string} problem id of the element that describes a problem
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

/**
 * Create the line that asks for a reason to run calls despite a budget.
 * @param {View} view
 * @param {() => void} restoreFocus called when the line closes with the focus in it
 */
export function createOverride(view, restoreFocus) {
  const { signal } = view;
  const box = h("input", {
    type: "text", "aria-label": "Reason for the override", "data-llm": "reason", maxlength: 500,
    placeholder: "Reason, kept in the audit log", autocomplete: "off",
  });
  const send = button("Run all", { class: "llm-link" }, signal, () => submit());
  const cancel = button("Cancel", { class: "llm-link" }, signal, () => {
    close();
    restoreFocus();
  });
  const missing = h("span", { class: "llm-problem", role: "alert" });
  const element = h("span", { class: "llm-override", hidden: true }, box, send, cancel, missing);
  /** @type {{changed: () => void}} */
  const state = { changed: () => {} };

  const isOpen = () => !element.hidden;
  /** Returns whether the line was open. */
  const close = () => {
    if (!isOpen()) return false;
    const inside = element.contains(document.activeElement);
    element.hidden = true;
    box.value = "";
    setText(missing, "");
    state.changed();
    if (inside) restoreFocus();
    return true;
  };
  /** @param {number} calls */
  const open = (calls) => {
    setText(send, calls === 1 ? "Run it all the same" : `Run all ${plural(calls, "call")}`);
    element.hidden = false;
    state.changed();
    box.focus();
  };
  const submit = () => {
    const reason = box.value.trim();
    setText(missing, reason ? "" : "Enter a reason.");
    box.setAttribute("aria-invalid", String(!reason));
    if (!reason) return box.focus();
    view.run({ override: reason });
    close();
  };
  view.localKeys.set(element, (event) => {
    const sends = event.target === box && event.key === "Enter";
    if (sends) submit();
    return sends;
  });
  return { element, open, close, isOpen, onChange: (/** @type {() => void} */ react) => { state.changed = react; } };
}

/**
 * Create the dialog that sets the price of a model whose price is unknown.
 * @param {View} view
 * @param {() => void} onClose
 */
export function createPriceDialog(view, onClose) {
  const { signal } = view;
  const choice = h("select", { "aria-label": "Model of unknown price" });
  const only = h("p", { class: "llm-only" });
  const input = priceField("Input");
  const output = priceField("Output");
  const line = h("code", {});
  const copy = createCopy(view, "Line", { class: "llm-link" }, () => line.textContent ?? "");
  const missing = h("p", { class: "llm-problem", role: "alert" });
  const save = button("Set price", { class: "llm-run" }, signal, () => set());
  const form = h("div", { class: "llm-prices" },
    choice, only, h("div", { class: "llm-fields" }, ...input.parts, ...output.parts,
      h("span", { class: "llm-side" }, "US dollars per million tokens")), missing,
    h("p", {}, "The price applies in this kernel only. To keep it, put this into the notebook's first cell:"), line,
    h("div", { class: "llm-last" }, copy, save));
  const dialog = createDialog(view, "Set price", form);
  const paint = () => {
    setText(copy, "Copy");
    setText(line, configureLine(choice.value, input.box.value, output.box.value));
  };
  form.addEventListener("input", paint, { signal });
  dialog.element.addEventListener("close", onClose, { signal });
  view.localKeys.set(form, (event) => {
    const sends = event.key === "Enter" && event.target instanceof HTMLInputElement;
    if (sends) set();
    return sends;
  });

  const set = () => {
    const wrong = [input, output].find(({ box }) => Number.isNaN(parseAmount(box.value)));
    if (wrong) {
      setText(missing, `${wrong.name} must be a number of US dollars, 0 or more.`);
      return wrong.box.focus();
    }
    const [input_usd, output_usd] = [input, output].map(({ box }) => parseAmount(box.value));
    const price = { model: choice.value, input_usd, output_usd };
    view.request("set_price", price).then(() => {
      view.status.say(`The price of ${price.model} was set.`);
      dialog.close();
    }, (/** @type {Error} */ error) => setText(missing, error.message));
  };
  /** @param {readonly string[]} models */
  const open = (models) => {
    choice.replaceChildren(...models.map((model) => h("option", { value: model }, model)));
    choice.hidden = models.length < 2;
    setText(only, models.length < 2 ? (models[0] ?? "") : "");
    for (const { box } of [input, output]) box.value = "";
    setText(missing, "");
    paint();
    dialog.open();
    (models.length > 1 ? choice : input.box).focus();
  };
  return { element: dialog.element, open, close: dialog.close };
}

/** @param {string} name */
function priceField(name) {
  const id = newId();
  const box = h("input", { type: "text", inputmode: "decimal", id, autocomplete: "off", placeholder: "0.00" });
  return { name, box, parts: [h("label", { for: id, class: "llm-label" }, name), box] };
}
