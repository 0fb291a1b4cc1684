// Presets: three of the playground's, and those that people saved in the run log.

import { h, button, follow, setText } from "./dom.js";
import { refill } from "./refill.js";

/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./dom.js").Model} Model */
/** @typedef {import("./undo.js").Undo} Undo */

/** @typedef {{parameters: Record<string, unknown>, by: string}} OwnPreset */

/**
 * The presets a person can press, and a way to save one more.
 * @param {View} view
 * @param {Undo} undo
 */
export function createPresets(view, undo) {
  const own = h("span", { class: "llm-own" });
  const given = Object.keys(view.model.get("presets")).map((name) => createPresetButton(view, name, titleCased(name)));
  const element = h("div", { class: "llm-presets", role: "group", "aria-label": "Presets" },
    h("span", { class: "llm-given" }, ...given), own);
  follow(view, ["own_presets"], () => {
    const known = view.model.get("own_presets");
    const make = () => Object.keys(known).map((name) => createOwnPreset(view, name, undo));
    refill(own, known, make, /** @type {HTMLElement} */ (given[0]));
    own.hidden = Object.keys(known).length === 0;
  });
  follow(view, ["preset", "own_presets"], () => {
    for (const pressed of element.querySelectorAll("[data-preset]")) {
      const name = pressed.getAttribute("data-preset");
      pressed.setAttribute("aria-pressed", String(view.model.get("preset") === name));
    }
  });
  view.ask("presets").catch(() => {}); // without the log there are only the three
  return element;
}

/**
 * @param {View} view
 * @param {string} name
 * @param {string} text
 */
function createPresetButton(view, name, text) {
  const press = () => choosePreset(view, view.model.get("preset") === name ? null : name);
  return button(text, { "data-llm": "preset", "data-preset": name, "aria-pressed": "false", title: said(view.model, name) },
    view.signal, press);
}

/**
 * @param {View} view
 * @param {string} name
 * @param {Undo} undo
 */
function createOwnPreset(view, name, undo) {
  const remove = async () => {
    const { parameters } = view.model.get("own_presets")[name];
    const chosen = view.model.get("preset") === name;
    await view.ask("delete_preset", { name });
    undo.offer(`“${name}” is deleted.`, async () => {
      await view.ask("save_preset", { name, parameters });
      if (chosen) choosePreset(view, name);
    });
  };
  const cross = button("×", { class: "llm-cross", "aria-label": `Delete preset ${name}`, title: "Delete" },
    view.signal, () => void remove().catch(undo.fail));
  return h("span", { class: "llm-preset" }, createPresetButton(view, name, name), cross);
}

/**
 * What a preset sets, trait by trait: an own one says of every parameter what it is.
 * @param {Model} model
 * @param {string | null} name
 * @returns {Record<string, any>}
 */
export function presetSettings(model, name) {
  if (name === null) return {};
  /** @type {OwnPreset | undefined} */
  const own = model.get("own_presets")[name];
  if (!own) return model.get("presets")[name] ?? {};
  return Object.fromEntries(Object.keys(model.get("dials")).map((trait) => [trait, own.parameters[trait] ?? null]));
}

/**
 * Set what a preset sets; letting go of it sets that back to auto.
 * @param {View} view
 * @param {string | null} name
 */
function choosePreset(view, name) {
  for (const trait of Object.keys(presetSettings(view.model, view.model.get("preset")))) view.edit(trait, null);
  for (const [trait, value] of Object.entries(presetSettings(view.model, name))) view.edit(trait, value);
  view.edit("preset", name);
}

/**
 * A value that is not the preset's leaves it.
 * @param {View} view
 * @param {string} trait
 * @param {unknown} value
 */
export function leavePreset(view, trait, value) {
  const settings = presetSettings(view.model, view.model.get("preset"));
  if (trait in settings && JSON.stringify(settings[trait]) !== JSON.stringify(value)) view.edit("preset", null);
}

/**
 * A name for the current parameters, asked for in place.
 * @param {View} view
 * @param {Undo} undo
 * @param {() => Record<string, unknown>} current
 */
export function createPresetSaver(view, undo, current) {
  const { signal } = view;
  const name = h("input", {
    type: "text", "aria-label": "Name of the preset", placeholder: "Name", maxlength: 40, autocomplete: "off",
  });
  const problem = h("span", { class: "llm-problem", role: "alert" });
  const form = h("form", { class: "llm-saver", hidden: true }, name,
    h("button", { type: "submit" }, "Save"), button("Cancel", { class: "llm-link" }, signal, () => close()), problem);
  const opener = button("Save preset…", { class: "llm-link", title: "Save these parameters as a preset" }, signal, () => open());
  const open = () => {
    form.hidden = false;
    opener.setAttribute("aria-expanded", "true");
    name.focus();
  };
  const close = () => {
    if (form.hidden) return false;
    opener.focus();
    form.hidden = true;
    opener.setAttribute("aria-expanded", "false");
    setText(problem, "");
    name.value = "";
    return true;
  };
  const save = async () => {
    const before = /** @type {OwnPreset | undefined} */ (view.model.get("own_presets")[name.value.trim()]);
    const parameters = current();
    const kept = await view.ask("save_preset", { name: name.value, parameters });
    close();
    if (JSON.stringify(current()) === JSON.stringify(parameters)) view.edit("preset", kept);
    undo.offer(before ? `“${kept}” is saved anew.` : `“${kept}” is saved.`, () => (before
      ? view.ask("save_preset", { name: kept, parameters: before.parameters })
      : view.ask("delete_preset", { name: kept })));
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save().catch((error) => setText(problem, error.message));
  }, { signal });
  view.localKeys.set(form, (event) => event.key === "Escape" && close());
  return { opener, form };
}

/**
 * What a preset sets, in words.
 * @param {Model} model
 * @param {string} name
 */
function said(model, name) {
  const dials = model.get("dials");
  const set = Object.entries(presetSettings(model, name)).filter(([, value]) => value !== null);
  const words = set.map(([trait, value]) => `${dials[trait].label} ${String(value)}`);
  const by = model.get("own_presets")[name]?.by;
  return [...words, by ? `saved by ${by}` : ""].filter(Boolean).join(" · ");
}

/** @param {string} name */
export function titleCased(name) {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
