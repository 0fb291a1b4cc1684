// One parameter: a control, what it stands at, why it does nothing where it does not, a way to auto.

import { h, button, follow, newId, setText } from "./dom.js";
import { leavePreset } from "./presets.js";
import { briefly, isSweep, textsText, typedTexts, typedValue, valueText } from "./values.js";

/** @typedef {import("./dom.js").View} View */

/**
 * What the kernel says of a parameter, for the chosen models (dials.py). `off`: none takes it; `note`
 * says who does not and why; `rest` is where the thumb waits while the value is auto.
 * @typedef {{label: string, kind: "slider" | "number" | "words" | "texts", hint: string, note: string,
 *   off: boolean, min: number, max: number, step: number, whole: boolean, rest: number,
 *   default: number | null, words: string[]}} Dial
 */

/**
 * What a control shows, from the trait and the kernel's word on it.
 * @typedef {{value: any, dial: Dial, swept: boolean, inert: boolean}} Standing
 */

const EACH = "*";
const HOW_TO_SWEEP = "A list (0, 0.5, 1) or a range (0..1 step 0.25) asks once with each value.";

/**
 * @param {View} view
 * @param {string} trait
 */
export function createDial(view, trait) {
  const id = newId();
  const { kind, label } = dialOf(view, trait);
  /** @param {unknown} value */
  const set = (value) => {
    view.edit(trait, value);
    leavePreset(view, trait, value);
  };
  const why = h("span", { class: "llm-why", id: `${id}-why` });
  const control = CONTROLS[kind](view, trait, { id, set, standing: () => standing(view, trait) });
  const cross = button("×", { class: "llm-cross", "aria-label": `${label} auto`, title: "Back to auto" },
    view.signal, () => {
      control.first.focus();
      set(null);
    });
  const element = h("div", { class: `llm-dial llm-${kind}` }, h("label", { for: id }, label),
    ...control.elements, cross, why);
  for (const each of control.elements) each.setAttribute("aria-describedby", why.id);
  follow(view, [trait, "dials"], () => {
    const now = standing(view, trait);
    const auto = now.value === null;
    setText(why, reason(now));
    element.classList.toggle("llm-off", now.dial.off);
    element.classList.toggle("llm-auto", auto);
    cross.style.visibility = auto ? "hidden" : "visible";
    control.show(now);
  });
  return element;
}

/**
 * @param {View} view
 * @param {string} trait
 * @returns {Dial}
 */
function dialOf({ model }, trait) {
  return model.get("dials")[trait];
}

/**
 * @param {View} view
 * @param {string} trait
 * @returns {Standing}
 */
function standing(view, trait) {
  const dial = dialOf(view, trait);
  const value = view.model.get(trait) ?? null;
  const swept = isSweep(value, dial.kind === "texts");
  return { value, dial, swept, inert: dial.off || swept };
}

/** @param {Standing} now */
function reason({ value, dial, swept }) {
  if (dial.note) return dial.note;
  if (!swept) return "";
  const first = valueText(value.slice(0, 6));
  return `${briefly(value)}, one call each: ${first}${value.length > 6 ? ", …" : ""}`;
}

/**
 * @typedef {{id: string, set: (value: unknown) => void, standing: () => Standing}} Given
 * @typedef {{elements: HTMLElement[], first: HTMLElement, show: (now: Standing) => void}} Control
 */

/** @type {Record<Dial["kind"], (view: View, trait: string, given: Given) => Control>} */
const CONTROLS = { slider: createSlider, number: createNumber, words: createWords, texts: createTexts };

/**
 * @param {View} view
 * @param {string} trait
 * @param {Given} given
 * @returns {Control}
 */
function createSlider(view, trait, { id, set, standing }) {
  const { label } = dialOf(view, trait);
  const slider = h("input", { type: "range", id, "data-llm": trait });
  const field = createField(view, { "aria-label": `${label} value`, inputmode: "decimal" }, { set, standing });
  /** @param {Standing} now */
  const place = ({ value, dial }) => {
    slider.min = String(dial.min);
    slider.max = String(dial.max);
    slider.step = String(dial.step);
    slider.value = String(typeof value === "number" ? value : dial.rest);
    slider.style.setProperty("--part", String((Number(slider.value) - dial.min) / (dial.max - dial.min)));
  };
  slider.addEventListener("input", () => {
    if (standing().inert) place(standing());
    else set(Number(slider.value));
  }, { signal: view.signal });
  return {
    elements: [slider, field.element],
    first: slider,
    show: (now) => {
      place(now);
      slider.setAttribute("aria-disabled", String(now.inert));
      slider.setAttribute("aria-valuetext", spoken(now));
      field.show(now);
    },
  };
}

/** @param {Standing} now */
function spoken({ value, dial }) {
  if (dial.off) return dial.note;
  if (value !== null) return briefly(value);
  return dial.default === null ? "auto" : `auto, ${valueText(dial.default)} by the model's own default`;
}

/**
 * A field that says auto until something is typed, and the number of values of a list.
 * @param {View} view
 * @param {Record<string, string>} attributes
 * @param {Pick<Given, "set" | "standing">} given
 */
function createField({ signal }, attributes, { set, standing }) {
  const element = h("input", {
    type: "text", autocomplete: "off", spellcheck: "false", class: "llm-number", title: HOW_TO_SWEEP, ...attributes,
  });
  const away = () => {
    element.value = briefly(standing().value);
  };
  element.addEventListener("input", () => {
    if (!element.readOnly) set(typedValue(element.value, standing().dial.whole));
  }, { signal });
  element.addEventListener("focus", () => {
    const whole = valueText(standing().value);
    if (element.value === whole) return;
    element.value = whole;
    element.select();
  }, { signal });
  element.addEventListener("blur", away, { signal });
  return {
    element,
    /** @param {Standing} now */
    show: ({ dial }) => {
      element.readOnly = dial.off;
      element.setAttribute("aria-disabled", String(dial.off));
      element.placeholder = dial.off ? "none" : dial.hint;
      if (document.activeElement !== element) away();
    },
  };
}

/**
 * @param {View} view
 * @param {string} trait
 * @param {Given} given
 * @returns {Control}
 */
function createNumber(view, trait, { id, set, standing }) {
  const field = createField(view, { id, inputmode: "numeric", "data-llm": trait }, { set, standing });
  return { elements: [field.element], first: field.element, show: field.show };
}

/**
 * @param {View} view
 * @param {string} trait
 * @param {Given} given
 * @returns {Control}
 */
function createTexts(view, trait, { id, set, standing }) {
  const field = h("input", {
    type: "text", id, "data-llm": trait, class: "llm-number", autocomplete: "off", spellcheck: "false",
    title: 'Texts that end the answer, between commas. Quote one that holds a comma; "\\n" is a new line.',
  });
  const away = () => {
    const now = standing();
    field.value = now.swept ? briefly(now.value) : textsText(now.value);
  };
  field.addEventListener("input", () => {
    if (!field.readOnly) set(typedTexts(field.value));
  }, { signal: view.signal });
  field.addEventListener("blur", away, { signal: view.signal });
  return {
    elements: [field],
    first: field,
    show: ({ dial, inert }) => {
      field.readOnly = inert;
      field.setAttribute("aria-disabled", String(inert));
      field.placeholder = dial.off ? "none" : dial.hint;
      if (document.activeElement !== field) away();
    },
  };
}

/**
 * @param {View} view
 * @param {string} trait
 * @param {Given} given
 * @returns {Control}
 */
function createWords(view, trait, { id, set, standing }) {
  const select = h("select", { id, "data-llm": trait });
  select.addEventListener("change", () => {
    const { dial } = standing();
    if (!dial.off && select.value === EACH) set(dial.words);
    else if (!dial.off) set(select.value === "" ? null : select.value);
    else show(standing());
  }, { signal: view.signal });
  /** @param {Standing} now */
  const show = ({ value, dial, swept }) => {
    const known = value === null || (!swept && dial.words.includes(value));
    const options = [["", dial.off ? "none" : "auto"], ...dial.words.map((word) => [word, word]),
      [EACH, `each of the ${dial.words.length}`]];
    if (!known) options.push(["?", briefly(value)]);
    select.replaceChildren(...options.map(([key = "", text = ""]) => h("option", { value: key }, text)));
    select.value = known ? (value ?? "") : "?";
    select.setAttribute("aria-disabled", String(dial.off));
  };
  return { elements: [select], first: select, show };
}
