// The parameters: presets and one control for each parameter, which edits one trait. The kernel
// defines which parameters exist and what the selected models accept.

import { button, follow, h, newId, setText, show } from "./dom.js";
import { createUndo } from "./status_line.js";
import {
  formatTexts, formatValue, isSweep, parseTexts, parseValue, summarizeValue, sweepTicks,
} from "./parameter_values.js";
import {
  capitalize, createPresetSaver, createPresets, isBeyondPreset, leavePreset, presetSettings,
} from "./presets.js";

/** @typedef {import("./dom.js").View} View */

const FOLD_BELOW_PX = 720;
const COLUMNS_FROM_PX = 1_120;
const ALWAYS_SHOWN = 3;

/**
 * Create presets and controls; in a narrow panel they fold into one line.
 * @param {View} view
 * @param {HTMLElement} root the panel, whose width is observed
 */
export function createParameters(view, root) {
  const traits = Object.keys(view.model.get("dials"));
  const current = () => Object.fromEntries(traits.map((trait) => [trait, view.model.get(trait) ?? null]));
  const more = createMore(view, traits.slice(ALWAYS_SHOWN));
  const undo = createUndo(view, more.opener);
  const saver = createPresetSaver(view, undo, current);
  const reset = createReset(view, [...traits, "preset"], undo);
  const summary = h("summary", {});
  const presets = createPresets(view, undo);
  const element = h("details", { class: "llm-parameters" }, summary, h("div", { class: "llm-controls" },
    presets, ...traits.slice(0, ALWAYS_SHOWN).map((trait) => createControl(view, trait)),
    h("div", { class: "llm-acts" }, more.opener, saver.opener, reset), saver.form, more.element));
  follow(view, [...traits, "preset", "dials"], () => {
    setText(summary, summaryText(view, traits));
    const touched = Object.values(current()).some((value) => value !== null);
    show(reset, touched || view.model.get("preset") !== null, more.opener);
    show(saver.opener, isBeyondPreset(current(), presetSettings(view.model, view.model.get("preset"))), more.opener);
  });
  undo.dropAfterChange(traits);
  foldWhenNarrow(view, root, element);
  return element;
}

/**
 * The folded line: the preset, the parameters that are always shown, and the others that are set.
 * @param {View} view
 * @param {readonly string[]} traits
 */
function summaryText({ model }, traits) {
  const preset = model.get("preset");
  const parts = traits.flatMap((trait, at) => {
    const value = model.get(trait) ?? null;
    const name = model.get("dials")[trait].label.toLowerCase();
    if (value === null) return at < ALWAYS_SHOWN ? [`${name} auto`] : [];
    return [`${name} ${trait === "stop_at" ? formatTexts(value) : summarizeValue(value)}`];
  });
  return [preset ? capitalize(String(preset)) : "", ...parts].filter(Boolean).join(" · ");
}

/**
 * Create the less common parameters behind a button; they are shown as soon as one of them is set.
 * @param {View} view
 * @param {readonly string[]} traits
 */
function createMore(view, traits) {
  const id = newId();
  const controls = traits.map((trait) => createControl(view, trait));
  const element = h("div", { class: "llm-few", id, hidden: true }, ...controls);
  const attributes = { class: "llm-link llm-opener", "aria-controls": id, "aria-expanded": "false" };
  const opener = button(`${traits.length} more`, attributes, view.signal, () => unfold(Boolean(element.hidden)));
  /** @param {boolean} open */
  const unfold = (open) => {
    element.hidden = !open;
    opener.setAttribute("aria-expanded", String(open));
  };
  let touched = false;
  follow(view, traits, () => {
    const now = traits.some((trait) => (view.model.get(trait) ?? null) !== null);
    if (now && !touched) unfold(true);
    touched = now;
  });
  return { element, opener };
}

/**
 * @param {View} view
 * @param {readonly string[]} traits
 * @param {import("./status_line.js").Undo} undo
 */
function createReset(view, traits, undo) {
  return button("Reset", { class: "llm-link", title: "All parameters back to auto" }, view.signal, () => {
    const before = traits.map((trait) => /** @type {const} */ ([trait, view.model.get(trait)]));
    for (const trait of traits) view.edit(trait, null);
    undo.offer("All parameters were reset to auto.", () => {
      for (const [trait, value] of before) view.edit(trait, value);
    });
  });
}

/**
 * @param {View} view
 * @param {HTMLElement} root
 * @param {HTMLDetailsElement} details
 */
function foldWhenNarrow({ signal }, root, details) {
  /** @type {boolean | null} */
  let narrow = null;
  const observer = new ResizeObserver(() => {
    root.classList.toggle("llm-broad", root.clientWidth >= COLUMNS_FROM_PX);
    const now = root.clientWidth > 0 && root.clientWidth < FOLD_BELOW_PX;
    if (now === narrow) return;
    narrow = now;
    root.classList.toggle("llm-narrow", narrow);
    details.open = !narrow;
  });
  observer.observe(root);
  signal.addEventListener("abort", () => observer.disconnect());
}

/**
 * A parameter as the kernel describes it for the selected models. `off` means that none of them
 * accepts it, `note` says which do not and why, `rest` is the slider's position while the value is
 * auto.
 * @typedef {{label: string, kind: "slider" | "number" | "words" | "texts", hint: string, note: string,
 *   off: boolean, min: number, max: number, step: number, whole: boolean, rest: number,
 *   default: number | null, words: string[]}} ParameterInfo
 */

/**
 * What a control shows: the trait's value, whether it is a list to sweep over, and whether the control
 * cannot edit it (`inert`).
 * @typedef {{value: any, info: ParameterInfo, swept: boolean, inert: boolean}} ControlState
 */

const ALL_VALUES = "*";
const SWEEP_HINT = "A list (0, 0.5, 1) or a range (0..1 step 0.25) runs once for each value.";

/**
 * Create the control of one parameter, with a button that sets it back to auto.
 * @param {View} view
 * @param {string} trait
 */
export function createControl(view, trait) {
  const id = newId();
  const { kind, label } = infoOf(view, trait);
  /** @param {unknown} value */
  const set = (value) => {
    view.edit(trait, value);
    leavePreset(view, trait, value);
  };
  const why = h("span", { class: "llm-why", id: `${id}-why` });
  const control = CONTROLS[kind](view, trait, { id, set, controlState: () => controlState(view, trait) });
  const cross = button("×", { class: "llm-cross", "aria-label": `${label} auto`, title: "Back to auto" },
    view.signal, () => {
      control.first.focus();
      set(null);
    });
  const element = h("div", { class: `llm-control llm-${kind}` }, h("label", { for: id }, label),
    ...control.elements, cross, why);
  for (const each of control.elements) each.setAttribute("aria-describedby", why.id);
  follow(view, [trait, "dials"], () => {
    const now = controlState(view, trait);
    const auto = now.value === null;
    setText(why, reason(now));
    element.classList.toggle("llm-off", now.info.off);
    element.classList.toggle("llm-auto", auto);
    element.classList.toggle("llm-swept", now.swept);
    cross.style.visibility = auto ? "hidden" : "visible";
    control.show(now);
  });
  return element;
}

/**
 * @param {View} view
 * @param {string} trait
 * @returns {ParameterInfo}
 */
function infoOf({ model }, trait) {
  return model.get("dials")[trait];
}

/**
 * @param {View} view
 * @param {string} trait
 * @returns {ControlState}
 */
function controlState(view, trait) {
  const info = infoOf(view, trait);
  const value = view.model.get(trait) ?? null;
  const swept = isSweep(value, info.kind === "texts");
  return { value, info, swept, inert: info.off || swept };
}

/**
 * Why a control is off, or how many values it sweeps over.
 * @param {ControlState} now
 */
function reason({ value, info, swept }) {
  if (info.note) return info.note;
  if (!swept) return "";
  const first = formatValue(value.slice(0, 6));
  return `${summarizeValue(value)}, one call each: ${first}${value.length > 6 ? ", …" : ""}`;
}

/**
 * @typedef {{id: string, set: (value: unknown) => void, controlState: () => ControlState}} ControlContext
 * @typedef {{elements: HTMLElement[], first: HTMLElement, show: (now: ControlState) => void}} Control
 */

/** @type {Record<ParameterInfo["kind"], (view: View, trait: string, context: ControlContext) => Control>} */
const CONTROLS = { slider: createSlider, number: createNumberField, words: createSelect, texts: createTextsField };

/**
 * @param {View} view
 * @param {string} trait
 * @param {ControlContext} context
 * @returns {Control}
 */
function createSlider(view, trait, { id, set, controlState }) {
  const { label } = infoOf(view, trait);
  const slider = h("input", { type: "range", id, "data-llm": trait });
  const field = createField(view, { "aria-label": `${label} value`, inputmode: "decimal" }, { set, controlState });
  /** @param {ControlState} now */
  const place = ({ value, info }) => {
    slider.min = String(info.min);
    slider.max = String(info.max);
    slider.step = String(info.step);
    slider.value = String(typeof value === "number" ? value : info.rest);
    slider.style.setProperty("--ticks", Array.isArray(value) ? sweepTicks(value, info) : "none");
    slider.style.setProperty("--part", String((Number(slider.value) - info.min) / (info.max - info.min)));
  };
  slider.addEventListener("input", () => {
    if (controlState().inert) place(controlState());
    else set(Number(slider.value));
  }, { signal: view.signal });
  return {
    elements: [slider, field.element],
    first: slider,
    show: (now) => {
      place(now);
      slider.setAttribute("aria-disabled", String(now.inert));
      slider.setAttribute("aria-valuetext", ariaValueText(now));
      field.show(now);
    },
  };
}

/** @param {ControlState} now */
function ariaValueText({ value, info }) {
  if (info.off) return info.note;
  if (value !== null) return summarizeValue(value);
  return info.default === null ? "auto" : `auto, the model's default is ${formatValue(info.default)}`;
}

/**
 * Create a text field. Without the focus it summarizes its value: "3 values"; a placeholder stands for
 * auto.
 * @param {View} view
 * @param {Record<string, string>} attributes
 * @param {Pick<ControlContext, "set" | "controlState">} context
 */
function createField({ signal }, attributes, { set, controlState }) {
  const element = h("input", {
    type: "text", autocomplete: "off", spellcheck: "false", class: "llm-number", title: SWEEP_HINT, ...attributes,
  });
  const showSummary = () => {
    element.value = summarizeValue(controlState().value);
  };
  element.addEventListener("input", () => {
    if (!element.readOnly) set(parseValue(element.value, controlState().info.whole));
  }, { signal });
  element.addEventListener("focus", () => {
    const whole = formatValue(controlState().value);
    if (element.value === whole) return;
    element.value = whole;
    element.select();
  }, { signal });
  element.addEventListener("blur", showSummary, { signal });
  return {
    element,
    /** @param {ControlState} now */
    show: ({ info }) => {
      element.readOnly = info.off;
      element.setAttribute("aria-disabled", String(info.off));
      element.placeholder = info.off ? "none" : info.hint;
      if (document.activeElement !== element) showSummary();
    },
  };
}

/**
 * @param {View} view
 * @param {string} trait
 * @param {ControlContext} context
 * @returns {Control}
 */
function createNumberField(view, trait, { id, set, controlState }) {
  const field = createField(view, { id, inputmode: "numeric", "data-llm": trait }, { set, controlState });
  return { elements: [field.element], first: field.element, show: field.show };
}

/**
 * @param {View} view
 * @param {string} trait
 * @param {ControlContext} context
 * @returns {Control}
 */
function createTextsField(view, trait, { id, set, controlState }) {
  const field = h("input", {
    type: "text", id, "data-llm": trait, class: "llm-number", autocomplete: "off", spellcheck: "false",
    title: 'Texts that end the answer, separated by commas. Quote a text that contains a comma; "\\n" is a new line.',
  });
  const showSummary = () => {
    const now = controlState();
    field.value = now.swept ? summarizeValue(now.value) : formatTexts(now.value);
  };
  field.addEventListener("input", () => {
    if (!field.readOnly) set(parseTexts(field.value));
  }, { signal: view.signal });
  field.addEventListener("blur", showSummary, { signal: view.signal });
  return {
    elements: [field],
    first: field,
    show: ({ info, inert }) => {
      field.readOnly = inert;
      field.setAttribute("aria-disabled", String(inert));
      field.placeholder = info.off ? "none" : info.hint;
      if (document.activeElement !== field) showSummary();
    },
  };
}

/**
 * @param {View} view
 * @param {string} trait
 * @param {ControlContext} context
 * @returns {Control}
 */
function createSelect(view, trait, { id, set, controlState }) {
  const select = h("select", { id, "data-llm": trait });
  select.addEventListener("change", () => {
    const { info } = controlState();
    if (!info.off && select.value === ALL_VALUES) set(info.words);
    else if (!info.off) set(select.value === "" ? null : select.value);
    else show(controlState());
  }, { signal: view.signal });
  /** @param {ControlState} now */
  const show = ({ value, info, swept }) => {
    const known = value === null || (!swept && info.words.includes(value));
    const options = [["", info.off ? "none" : "auto"], ...info.words.map((word) => [word, word]),
      [ALL_VALUES, `each of the ${info.words.length}`]];
    if (!known) options.push(["?", summarizeValue(value)]);
    select.replaceChildren(...options.map(([key = "", text = ""]) => h("option", { value: key }, text)));
    select.value = known ? (value ?? "") : "?";
    select.setAttribute("aria-disabled", String(info.off));
  };
  return { elements: [select], first: select, show };
}
