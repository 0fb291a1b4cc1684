// The model picker: selected models as chips, and a combobox that adds more.

import { createKeyDialog, createKeyHelp } from "./api_keys.js";
import { button, follow, h, newId, replaceContent, setText } from "./dom.js";
import { createUndo } from "./status_line.js";
import {
  extendGroups, findChoice, groupedChoices, labelOf, markOf, noMatchMessage, providerOf,
} from "./model_choices.js";

/** @typedef {import("./api_keys.js").KeyDialog} KeyDialog */
/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./model_choices.js").Choice} Choice */
/** @typedef {import("./model_choices.js").Group} Group */

/**
 * Create the picker. `key` handles a key of the combobox and returns whether it did; `close` returns
 * whether something was open.
 * @param {View} view
 * @returns {{element: HTMLElement, input: HTMLInputElement, close: () => boolean,
 *   key: (event: KeyboardEvent) => boolean}}
 */
export function createPicker(view) {
  const { signal } = view;
  const input = h("input", {
    type: "text", role: "combobox", "aria-label": "Model", "aria-expanded": "false",
    "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false",
    placeholder: "+ Add", "data-llm": "model", class: "llm-add",
  });
  const keys = createKeyDialog(view, input);
  const popup = createPopup(view, input, keys);
  const chips = h("span", { class: "llm-chips" });
  const fixes = h("div", { class: "llm-fixes" });
  const undo = createUndo(view, input);
  const element = h("div", { class: "llm-models" },
    h("span", { class: "llm-label", "aria-hidden": "true" }, "Model"),
    chips, h("span", { class: "llm-combo" }, input), popup.element, fixes, keys.element);

  /** @returns {string[]} */
  const chosen = () => view.model.get("models");
  /** @param {string} model */
  const remove = (model) => {
    const before = chosen();
    view.edit("models", before.filter((name) => name !== model));
    undo.offer(`${labelOf(view.model.get("choices"), model)} was removed.`, () => view.edit("models", before));
    input.focus();
  };
  /** @param {FocusEvent} event */
  const onFocusLeave = (event) => {
    const to = event.relatedTarget;
    if (to instanceof Node && (popup.element.contains(to) || keys.element.contains(to) || to === input)) return;
    if (!keys.element.open && popup.close()) input.value = "";
  };
  input.addEventListener("input", popup.open, { signal });
  input.addEventListener("click", popup.open, { signal });
  input.addEventListener("blur", onFocusLeave, { signal });
  popup.element.addEventListener("focusout", onFocusLeave, { signal });
  follow(view, ["models", "choices", "unusable"], () => {
    const details = chosen().map((model) => [model, findChoice(view.model.get("choices"), model)]);
    const unusable = unusableProviders(view, chosen());
    replaceContent(chips, [details, unusable], () => chosen().map((model) => createChip(view, model, remove)), input);
    const lines = unusable.map((provider) => view.model.get("unusable")[provider]);
    replaceContent(fixes, lines, () => unusable.map((provider) => createKeyHelp(view, provider, keys)), input);
  });

  follow(view, ["models"], undo.drop);

  /** @param {KeyboardEvent} event */
  const key = (event) => {
    if (event.target !== input || event.ctrlKey || event.metaKey) return false;
    if (event.key === "Backspace" && input.value === "" && chosen().length > 0) {
      remove(/** @type {string} */ (chosen().at(-1)));
      return true;
    }
    return popup.key(event.key);
  };
  const close = () => {
    if (!popup.close()) return keys.close();
    input.value = "";
    input.focus();
    return true;
  };
  return { element, input, close, key };
}

/**
 * Create the list under the combobox. While it is open it keeps its position, and listed models keep
 * their place when the kernel finds more.
 * @param {View} view
 * @param {HTMLInputElement} input
 * @param {KeyDialog} keys
 */
function createPopup(view, input, keys) {
  const id = newId();
  const list = h("div", {
    id, role: "listbox", "aria-label": "Models", "aria-multiselectable": "true", class: "llm-options",
  });
  const none = h("p", { class: "llm-nomatch", role: "status" });
  const help = h("div", {});
  const element = h("div", { class: "llm-list", hidden: true }, list, none, help,
    h("p", { class: "llm-hint" }, "US dollars per million tokens, in/out. Enter adds or removes, Esc closes."));
  input.setAttribute("aria-controls", id);
  /** @type {{groups: Group[], active: number}} */
  const state = { groups: [], active: -1 };

  /** @returns {Choice[]} */
  const choices = () => view.model.get("choices");
  /** @returns {string[]} */
  const chosen = () => view.model.get("models");
  const lines = () => state.groups.flatMap((group) => group.choices);
  const options = () => [...list.querySelectorAll("[role=option]")];

  const close = () => {
    const wasOpen = !element.hidden;
    element.hidden = true;
    state.active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    return wasOpen;
  };
  const open = () => {
    if (element.hidden) {
      view.model.send({ type: "choices" });
      positionBelow(element, input);
    }
    element.hidden = false;
    input.setAttribute("aria-expanded", "true");
    list.scrollTop = 0;
    showGroups(groupedChoices(choices(), input.value));
    activate(input.value.trim() ? 0 : -1);
  };
  /** @param {Group[]} groups */
  const showGroups = (groups) => {
    state.groups = groups;
    let from = 0;
    list.replaceChildren(...groups.map((group) => {
      from += group.choices.length;
      return createModelGroup(group, id, from - group.choices.length);
    }));
    const typed = input.value.trim();
    setText(none, groups.length > 0 ? "" : typed ? noMatchMessage(choices(), typed) : "No models.");
    showSelection();
  };
  /** Add models that the kernel found while the list is open. */
  const addChoices = () => {
    const { scrollTop } = list;
    const { active, groups } = state;
    const found = groupedChoices(choices(), input.value);
    showGroups(groups.length > 0 ? extendGroups(groups, found, choices()) : found);
    mark(active);
    list.scrollTop = scrollTop;
  };
  const showSelection = () => {
    const selected = new Set(chosen().map((model) => findChoice(choices(), model)?.model ?? model));
    for (const [at, choice] of lines().entries()) {
      options()[at]?.setAttribute("aria-selected", String(selected.has(choice.model)));
    }
  };
  /** @param {number} index */
  const mark = (index) => {
    state.active = index < lines().length ? index : -1;
    const all = options();
    for (const [at, item] of all.entries()) item.classList.toggle("llm-active", at === state.active);
    const active = all[state.active];
    if (active) input.setAttribute("aria-activedescendant", active.id);
    else input.removeAttribute("aria-activedescendant");
    const provider = lines()[state.active]?.provider ?? "";
    const unusable = view.model.get("unusable")[provider];
    replaceContent(help, [provider, unusable], () => (unusable ? [createKeyHelp(view, provider, keys)] : []), input);
    return active;
  };
  /** @param {number} index */
  const activate = (index) => mark(index)?.scrollIntoView({ block: "nearest" });
  /** @param {number} step */
  const move = (step) => {
    if (element.hidden) return open();
    const count = lines().length;
    if (count > 0) activate((Math.max(state.active, step < 0 ? 0 : -1) + step + count) % count);
  };
  /** @param {string} model */
  const toggle = (model) => {
    const label = labelOf(choices(), model);
    const same = chosen().filter((name) => (findChoice(choices(), name)?.model ?? name) === model);
    view.edit("models", same.length > 0 ? chosen().filter((name) => !same.includes(name)) : [...chosen(), model]);
    view.announce(same.length > 0 ? `${label} removed.` : `${label} added.`);
  };
  /** Add what was typed or marked. A full name need not be listed: the provider may support it. */
  const pick = () => {
    const typed = input.value.trim();
    const known = choices().find((choice) => choice.model === typed || choice.label === typed);
    const active = element.hidden ? undefined : lines()[state.active];
    const moved = active !== undefined && state.active > 0;
    const model = moved ? active.model : known?.model ?? (typed.includes(":") ? typed : active?.model ?? typed);
    if (model) toggle(model);
    input.select();
  };
  /** @type {Record<string, () => void>} */
  const actions = { ArrowDown: () => move(1), ArrowUp: () => move(-1), Enter: pick };
  /** @param {string} name */
  const key = (name) => {
    const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
    action?.();
    return action !== undefined;
  };
  // Keep the focus in the input when the list is clicked.
  list.addEventListener("mousedown", (event) => event.preventDefault(), { signal: view.signal });
  list.addEventListener("click", (event) => {
    const item = event.target instanceof Element ? event.target.closest("[role=option]") : null;
    const index = item ? options().indexOf(item) : -1;
    const choice = lines()[index];
    if (choice) toggle(choice.model);
    if (choice) mark(index);
  }, { signal: view.signal });
  follow(view, ["models"], showSelection);
  follow(view, ["choices", "unusable"], () => {
    if (!element.hidden) addChoices();
  });
  return { element, open, close, key };
}

/**
 * Position the list below the input, within the panel.
 * @param {HTMLElement} popup
 * @param {HTMLElement} input
 */
function positionBelow(popup, input) {
  const frame = popup.parentElement?.getBoundingClientRect();
  const at = input.getBoundingClientRect();
  if (!frame) return;
  const width = Math.min(frame.width, 600);
  popup.style.width = `${width}px`;
  popup.style.top = `${at.bottom - frame.top + 4}px`;
  popup.style.left = `${Math.max(0, Math.min(at.left - frame.left, frame.width - width))}px`;
}

/**
 * The providers of selected models that cannot be used now.
 * @param {View} view
 * @param {readonly string[]} chosen
 */
function unusableProviders({ model }, chosen) {
  const providers = chosen.map((name) => providerOf(model.get("choices"), name));
  return [...new Set(providers)].filter((provider) => Object.hasOwn(model.get("unusable"), provider));
}

/**
 * @param {View} view
 * @param {string} model
 * @param {(model: string) => void} remove
 */
function createChip(view, model, remove) {
  const choices = view.model.get("choices");
  const known = findChoice(choices, model);
  const label = labelOf(choices, model);
  const unusable = view.model.get("unusable")[providerOf(choices, model)];
  const off = known ? !known.available : unusable !== undefined;
  const side = off ? known?.reason || "no key" : known?.price ?? "";
  const vendor = known?.vendor ?? unusable?.vendor ?? model.split(":")[0];
  const cross = button("×", { class: "llm-cross", "aria-label": `Remove ${label}`, title: `Remove ${label}` },
    view.signal, () => remove(model));
  const ends = known?.ends ?? "";
  const title = [known?.model ?? model, ends, known?.about, ...(known?.badges ?? [])].filter(Boolean).join(" · ");
  return h("span", { class: off ? "llm-chip llm-off" : "llm-chip", title }, createMark(vendor),
    h("span", { class: "llm-name" }, label), h("span", { class: "llm-side" }, side),
    ...(ends ? [h("span", { class: "llm-amber" }, ends)] : []), cross);
}

/**
 * Create the provider's two-letter mark; screen readers read the provider's name.
 * @param {string} vendor
 */
export function createMark(vendor) {
  return h("span", { class: "llm-mark", role: "img", "aria-label": vendor, title: vendor }, markOf(vendor));
}

/**
 * Create the models of one provider, under a heading.
 * @param {Group} group
 * @param {string} id prefix of the ids of its options: `id-0`, `id-1`, ...
 * @param {number} from the index of its first option
 */
export function createModelGroup(group, id, from) {
  const options = group.choices.map((choice, at) => createModelOption(choice, `${id}-${from + at}`));
  const heading = h("div", { class: "llm-of", "aria-hidden": "true" }, h("span", {}, group.vendor),
    h("span", { class: "llm-side" }, group.note));
  const rest = `${group.more} more: type to narrow`;
  const more = group.more > 0 ? [h("div", { class: "llm-rest", role: "presentation" }, rest)] : [];
  const name = [group.vendor, group.note, group.more > 0 ? rest : ""].filter(Boolean).join(", ");
  return h("div", { role: "group", "aria-label": name }, heading, ...options, ...more);
}

/**
 * @param {Choice} choice
 * @param {string} id
 */
function createModelOption(choice, id) {
  const badges = [...choice.badges, ...(choice.deprecated ? ["deprecated"] : [])];
  const amber = [choice.ends, choice.available ? "" : choice.reason].filter(Boolean);
  const off = amber.flatMap((text) => [" ", h("span", { class: "llm-amber" }, text)]);
  const item = h("div", { role: "option", id, "aria-selected": "false", class: "llm-option", title: choice.model },
    createMark(choice.vendor),
    h("span", { class: "llm-name" }, choice.label), " ",
    h("span", { class: "llm-badges" }, ...badges.flatMap((badge) => [h("span", { class: "llm-badge" }, badge), " "])),
    h("span", { class: "llm-cost" }, choice.price || "price unknown"), " ",
    h("span", { class: "llm-about" }, choice.about), " ",
    h("span", { class: "llm-facts" }, choice.context ? `${choice.context} context` : "", ...off));
  item.classList.toggle("llm-off", !choice.available);
  return item;
}
