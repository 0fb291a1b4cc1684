// Presets and one control per parameter. Every control edits one trait.

import { h, button, follow, newId, setText } from "./dom.js";

/** @typedef {import("./dom.js").View} View */

/**
 * One parameter's row. `rest` is where the thumb waits while the value is auto. The kernel narrows
 * `min`, `max` and `rest` to what the chosen models take.
 * @typedef {{trait: string, label: string, min: number, max: number, step: number, rest: number}} Dial
 */

/** @type {readonly Dial[]} */
const DIALS = [
  { trait: "temperature", label: "Temperature", min: 0, max: 2, step: 0.05, rest: 1 },
  { trait: "top_p", label: "Top p", min: 0, max: 1, step: 0.05, rest: 1 },
  { trait: "max_tokens", label: "Max tokens", min: 1, max: 8192, step: 1, rest: 1024 },
];
const FOLD_BELOW_PX = 720;

/**
 * Presets and sliders; one line that unfolds where the panel is narrow.
 * @param {View} view
 * @param {HTMLElement} root whose width decides
 */
export function createParameters(view, root) {
  const summary = h("summary", {});
  const reset = button("Reset", { class: "llm-link", title: "All parameters back to auto" }, view.signal, () => {
    for (const { trait } of DIALS) view.edit(trait, null);
    view.edit("preset", null);
  });
  const body = h("div", { class: "llm-dials" }, createPresets(view),
    ...DIALS.map((dial) => createDial(view, dial)), reset);
  const element = h("details", { class: "llm-parameters" }, summary, body);
  const traits = [...DIALS.map((dial) => dial.trait), "preset"];
  follow(view, traits, () => {
    setText(summary, folded(view));
    const touched = traits.some((trait) => view.model.get(trait) !== null);
    reset.style.visibility = touched ? "visible" : "hidden";
  });
  foldWhenNarrow(view, root, element);
  return element;
}

/** @param {View} view */
function folded({ model }) {
  const preset = model.get("preset");
  const parts = DIALS.map(({ trait, label }) => `${label.toLowerCase()} ${shown(model.get(trait)) || "auto"}`);
  return [preset ? titled(preset) : "", ...parts].filter(Boolean).join(" · ");
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
    const now = root.clientWidth > 0 && root.clientWidth < FOLD_BELOW_PX;
    if (now === narrow) return;
    narrow = now;
    root.classList.toggle("llm-narrow", narrow);
    details.open = !narrow;
  });
  observer.observe(root);
  signal.addEventListener("abort", () => observer.disconnect());
}

/** @param {View} view */
function createPresets(view) {
  const names = Object.keys(view.model.get("presets"));
  const buttons = names.map((name) => {
    const press = () => choosePreset(view, view.model.get("preset") === name ? null : name);
    return button(titled(name), { "data-llm": "preset", "aria-pressed": "false" }, view.signal, press);
  });
  follow(view, ["preset"], () => {
    for (const [at, name] of names.entries()) {
      buttons[at]?.setAttribute("aria-pressed", String(view.model.get("preset") === name));
    }
  });
  return h("div", { class: "llm-presets", role: "group", "aria-label": "Presets" }, ...buttons);
}

/**
 * A preset is a name and the temperature it sets; letting go of it goes back to auto.
 * @param {View} view
 * @param {string | null} name
 */
function choosePreset(view, name) {
  view.edit("temperature", name === null ? null : view.model.get("presets")[name].temperature);
  view.edit("preset", name);
}

/**
 * A slider, a field that says auto until touched, and a way back to auto.
 * @param {View} view
 * @param {Dial} dial
 */
function createDial(view, dial) {
  const { trait, label, min, max, step, rest } = dial;
  const id = newId();
  const slider = h("input", { type: "range", id, min, max, step, "data-llm": trait });
  const field = h("input", {
    type: "text", inputmode: "decimal", placeholder: "auto", autocomplete: "off",
    "aria-label": `${label} value`, class: "llm-number",
  });
  const cross = button("×", { class: "llm-cross", "aria-label": `${label} auto`, title: "Back to auto" },
    view.signal, () => {
      slider.focus();
      set(null);
    });
  const element = h("div", { class: "llm-dial" }, h("label", { for: id }, label), slider, field, cross);

  /** @param {number | string | null} value */
  const set = (value) => {
    view.edit(trait, value);
    const preset = view.model.get("presets")[view.model.get("preset") ?? ""];
    if (trait === "temperature" && preset && preset.temperature !== value) view.edit("preset", null);
  };
  slider.addEventListener("input", () => set(Number(slider.value)), { signal: view.signal });
  field.addEventListener("input", () => set(parsed(field.value)), { signal: view.signal });
  field.addEventListener("blur", () => { field.value = shown(view.model.get(trait)); }, { signal: view.signal });
  follow(view, [trait, "dials"], () => {
    const value = view.model.get(trait);
    const auto = value === null;
    const taken = view.model.get("dials")[trait] ?? {};
    const [min, max] = [taken.min ?? dial.min, taken.max ?? dial.max];
    slider.min = String(min);
    slider.max = String(max);
    slider.value = String(typeof value === "number" ? value : taken.rest ?? rest);
    slider.disabled = field.disabled = Boolean(taken.off);
    element.title = taken.note ?? "";
    field.placeholder = taken.off ? "none" : "auto";
    element.classList.toggle("llm-off", Boolean(taken.off));
    slider.setAttribute("aria-valuetext", taken.off ? taken.note : auto ? "auto" : shown(value));
    slider.style.setProperty("--part", String((Number(slider.value) - min) / (max - min)));
    element.classList.toggle("llm-auto", auto);
    cross.style.visibility = auto ? "hidden" : "visible";
    if (document.activeElement !== field) field.value = shown(value);
  });
  return element;
}

/**
 * What a typed number means. What is none is kept as typed: the kernel says what is wrong with it.
 * @param {string} text
 * @returns {number | string | null}
 */
export function parsed(text) {
  const plain = text.trim();
  if (plain === "") return null;
  const number = Number(/^\d{1,3}(,\d{3})+$/.test(plain) ? plain.replaceAll(",", "") : plain.replace(",", "."));
  return Number.isFinite(number) ? number : plain;
}

/** @param {unknown} value */
function shown(value) {
  if (value === null) return "";
  return typeof value === "number" ? value.toLocaleString("en", { maximumFractionDigits: 6 }) : String(value);
}

/** @param {string} name */
function titled(name) {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
