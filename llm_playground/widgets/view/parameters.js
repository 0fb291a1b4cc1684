// The parameters: presets, one control each, a way back. The kernel says which there are and what
// the chosen models take; every control edits one trait.

import { h, button, follow, newId, setText, show } from "./dom.js";
import { createDial } from "./dial.js";
import { createPresetSaver, createPresets, titleCased } from "./presets.js";
import { createUndoLine } from "./undo.js";
import { briefly, textsText } from "./values.js";

/** @typedef {import("./dom.js").View} View */

const FOLD_BELOW_PX = 720;
const ALWAYS_SHOWN = 3;

/**
 * Presets and controls; one line that unfolds where the panel is narrow.
 * @param {View} view
 * @param {HTMLElement} root whose width decides
 */
export function createParameters(view, root) {
  const traits = Object.keys(view.model.get("dials"));
  const current = () => Object.fromEntries(traits.map((trait) => [trait, view.model.get(trait) ?? null]));
  const more = createMore(view, traits.slice(ALWAYS_SHOWN));
  const undo = createUndoLine(view, more.opener);
  const saver = createPresetSaver(view, undo, current);
  const reset = createReset(view, [...traits, "preset"], undo);
  const summary = h("summary", {});
  const presets = createPresets(view, undo);
  const element = h("details", { class: "llm-parameters" }, summary, h("div", { class: "llm-dials" },
    presets, ...traits.slice(0, ALWAYS_SHOWN).map((trait) => createDial(view, trait)),
    h("div", { class: "llm-acts" }, more.opener, saver.opener, reset), saver.form, undo.element, more.element));
  follow(view, [...traits, "preset", "dials"], () => {
    setText(summary, folded(view, traits));
    const touched = Object.values(current()).some((value) => value !== null);
    show(reset, touched || view.model.get("preset") !== null, more.opener);
    show(saver.opener, touched && view.model.get("preset") === null, more.opener);
  });
  follow(view, traits, undo.drop); // what comes after is not to be taken back with it
  foldWhenNarrow(view, root, element);
  return element;
}

/**
 * What the folded line says: the preset, the three that are always shown, the others that are set.
 * @param {View} view
 * @param {readonly string[]} traits
 */
function folded({ model }, traits) {
  const preset = model.get("preset");
  const parts = traits.flatMap((trait, at) => {
    const value = model.get(trait) ?? null;
    const name = model.get("dials")[trait].label.toLowerCase();
    if (value === null) return at < ALWAYS_SHOWN ? [`${name} auto`] : [];
    return [`${name} ${trait === "stop_at" ? textsText(value) : briefly(value)}`];
  });
  return [preset ? titleCased(String(preset)) : "", ...parts].filter(Boolean).join(" · ");
}

/**
 * The parameters that few set, behind a word; shown as soon as one of them is set.
 * @param {View} view
 * @param {readonly string[]} traits
 */
function createMore(view, traits) {
  const id = newId();
  const element = h("div", { class: "llm-few", id, hidden: true }, ...traits.map((trait) => createDial(view, trait)));
  const attributes = { class: "llm-link llm-opener", "aria-controls": id, "aria-expanded": "false" };
  const press = () => unfold(Boolean(element.hidden));
  const opener = button(`${traits.length} more`, attributes, view.signal, press);
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
 * @param {import("./undo.js").Undo} undo
 */
function createReset(view, traits, undo) {
  return button("Reset", { class: "llm-link", title: "All parameters back to auto" }, view.signal, () => {
    const before = traits.map((trait) => /** @type {const} */ ([trait, view.model.get(trait)]));
    for (const trait of traits) view.edit(trait, null);
    undo.offer("All parameters are auto.", () => {
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
    const now = root.clientWidth > 0 && root.clientWidth < FOLD_BELOW_PX;
    if (now === narrow) return;
    narrow = now;
    root.classList.toggle("llm-narrow", narrow);
    details.open = !narrow;
  });
  observer.observe(root);
  signal.addEventListener("abort", () => observer.disconnect());
}
