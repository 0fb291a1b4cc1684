// Presets: the three built-in ones, and those that users saved in the run log.

import { button, follow, h, replaceContent, setText } from "./dom.js";

/** @typedef {import("./dom.js").Model} Model */
/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./status_line.js").Undo} Undo */

/** @typedef {{parameters: Record<string, unknown>, by: string}} SavedPreset */

/**
 * Create the buttons of all presets.
 * @param {View} view
 * @param {Undo} undo
 */
export function createPresets(view, undo) {
  const saved = h("span", { class: "llm-own" });
  const builtIn = Object.keys(view.model.get("presets"))
    .map((name) => createPresetButton(view, name, capitalize(name), undo));
  const element = h("div", { class: "llm-presets", role: "group", "aria-label": "Presets" },
    h("span", { class: "llm-given" }, ...builtIn), saved);
  follow(view, ["own_presets"], () => {
    const presets = view.model.get("own_presets");
    const make = () => Object.keys(presets).map((name) => createSavedPreset(view, name, undo));
    replaceContent(saved, presets, make, /** @type {HTMLElement} */ (builtIn[0]));
    saved.hidden = Object.keys(presets).length === 0;
  });
  follow(view, ["preset", "own_presets"], () => {
    for (const preset of element.querySelectorAll("[data-preset]")) {
      const name = preset.getAttribute("data-preset");
      preset.setAttribute("aria-pressed", String(view.model.get("preset") === name));
    }
  });
  view.request("refresh_presets").catch(() => {}); // without the log only the built-in presets exist
  return element;
}

/**
 * @param {View} view
 * @param {string} name
 * @param {string} text
 * @param {Undo} undo
 */
function createPresetButton(view, name, text, undo) {
  const onPress = () => choosePreset(view, view.model.get("preset") === name ? null : name, undo);
  const title = presetTitle(view.model, name);
  const attributes = { "data-llm": "preset", "data-preset": name, "aria-pressed": "false", title };
  return button(text, attributes, view.signal, onPress);
}

/**
 * @param {View} view
 * @param {string} name
 * @param {Undo} undo
 */
function createSavedPreset(view, name, undo) {
  const remove = async () => {
    const { parameters } = view.model.get("own_presets")[name];
    const chosen = view.model.get("preset") === name;
    await view.request("delete_preset", { name });
    undo.offer(`Preset “${name}” was deleted.`, async () => {
      await view.request("save_preset", { name, parameters });
      if (chosen) choosePreset(view, name, undo);
    });
  };
  const cross = button("×", { class: "llm-cross", "aria-label": `Delete preset ${name}`, title: "Delete" },
    view.signal, () => void remove().catch(view.status.report));
  return h("span", { class: "llm-preset" }, createPresetButton(view, name, name, undo), cross);
}

/**
 * The traits that a preset sets. A saved preset sets every parameter, a built-in one only some.
 * @param {Model} model
 * @param {string | null} name
 * @returns {Record<string, any>}
 */
export function presetSettings(model, name) {
  if (name === null) return {};
  /** @type {SavedPreset | undefined} */
  const saved = model.get("own_presets")[name];
  if (!saved) return model.get("presets")[name] ?? {};
  return Object.fromEntries(Object.keys(model.get("dials")).map((trait) => [trait, saved.parameters[trait] ?? null]));
}

/**
 * Apply a preset; null resets what the current preset has set to auto.
 * @param {View} view
 * @param {string | null} name
 * @param {Undo} undo offers to bring back values that were set by hand
 */
function choosePreset(view, name, undo) {
  const old = presetSettings(view.model, view.model.get("preset"));
  const settings = presetSettings(view.model, name);
  const before = Object.keys({ ...old, ...settings, preset: null })
    .map((trait) => /** @type {const} */ ([trait, view.model.get(trait) ?? null]));
  for (const trait of Object.keys(old)) view.edit(trait, null);
  for (const [trait, value] of Object.entries(settings)) view.edit(trait, value);
  view.edit("preset", name);
  const replaced = before.filter(([trait, value]) => value !== null && !(trait in old) && trait in settings
    && JSON.stringify(settings[trait]) !== JSON.stringify(value));
  if (replaced.length === 0) return;
  undo.offer(`${capitalize(String(name))} replaced values that you had set.`, () => {
    for (const [trait, value] of before) view.edit(trait, value);
  });
}

/**
 * Deselect the preset if a value differs from the preset's.
 * @param {View} view
 * @param {string} trait
 * @param {unknown} value
 */
export function leavePreset(view, trait, value) {
  const settings = presetSettings(view.model, view.model.get("preset"));
  if (trait in settings && JSON.stringify(settings[trait]) !== JSON.stringify(value)) view.edit("preset", null);
}

/**
 * Whether a parameter is set that a preset does not set, or sets otherwise.
 * @param {Readonly<Record<string, unknown>>} values
 * @param {Readonly<Record<string, unknown>>} settings
 */
export function isBeyondPreset(values, settings) {
  return Object.entries(values)
    .some(([trait, value]) => value !== null && JSON.stringify(value) !== JSON.stringify(settings[trait] ?? null));
}

/**
 * Create the form that saves the current parameters as a preset.
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
  const title = "Save these parameters as a preset";
  const opener = button("Save preset…", { class: "llm-link", title }, signal, () => open());
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
    const before = /** @type {SavedPreset | undefined} */ (view.model.get("own_presets")[name.value.trim()]);
    const parameters = current();
    const saved = await view.request("save_preset", { name: name.value, parameters });
    close();
    if (JSON.stringify(current()) === JSON.stringify(parameters)) view.edit("preset", saved);
    undo.offer(before ? `Preset “${saved}” was updated.` : `Preset “${saved}” was saved.`, () => (before
      ? view.request("save_preset", { name: saved, parameters: before.parameters })
      : view.request("delete_preset", { name: saved })));
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save().catch((error) => setText(problem, error.message));
  }, { signal });
  view.localKeys.set(form, (event) => event.key === "Escape" && close());
  return { opener, form };
}

/**
 * The tooltip of a preset: what it sets, and who saved it.
 * @param {Model} model
 * @param {string} name
 */
function presetTitle(model, name) {
  const dials = model.get("dials");
  const set = Object.entries(presetSettings(model, name)).filter(([, value]) => value !== null);
  const settings = set.map(([trait, value]) => `${dials[trait].label} ${String(value)}`);
  const by = model.get("own_presets")[name]?.by;
  return [...settings, by ? `saved by ${by}` : ""].filter(Boolean).join(" · ");
}

/** @param {string} name */
export function capitalize(name) {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
