// The chosen models as chips, and a combobox that adds some.

import { h, button, follow, newId, setText } from "./dom.js";
import { choiceOf, grown, labelOf, noMatch, offered, providerOf } from "./choices.js";
import { createKeyDialog, createKeyHelp } from "./keyhelp.js";
import { createMark, createModelGroup } from "./modellist.js";
import { refill } from "./refill.js";

/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./choices.js").Choice} Choice */
/** @typedef {import("./choices.js").Group} Group */
/** @typedef {import("./keyhelp.js").KeyDialog} KeyDialog */

/**
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
  const element = h("div", { class: "llm-models" },
    h("span", { class: "llm-label", "aria-hidden": "true" }, "Model"),
    chips, h("span", { class: "llm-combo" }, input), popup.element, fixes, keys.element);

  /** @returns {string[]} */
  const chosen = () => view.model.get("models");
  /** @param {string} model */
  const remove = (model) => {
    view.edit("models", chosen().filter((name) => name !== model));
    view.say(`${labelOf(view.model.get("choices"), model)} removed.`);
    input.focus();
  };
  /** @param {FocusEvent} event */
  const left = (event) => {
    const to = event.relatedTarget;
    if (to instanceof Node && (popup.element.contains(to) || keys.element.contains(to) || to === input)) return;
    if (!keys.element.open && popup.close()) input.value = "";
  };
  input.addEventListener("input", popup.open, { signal });
  input.addEventListener("click", popup.open, { signal });
  input.addEventListener("blur", left, { signal });
  popup.element.addEventListener("focusout", left, { signal });
  follow(view, ["models", "choices", "unusable"], () => {
    const facts = chosen().map((model) => [model, choiceOf(view.model.get("choices"), model)]);
    const stuck = unusableOf(view, chosen());
    refill(chips, [facts, stuck], () => chosen().map((model) => createChip(view, model, remove)), input);
    const lines = stuck.map((provider) => view.model.get("unusable")[provider]);
    refill(fixes, lines, () => stuck.map((provider) => createKeyHelp(view, provider, keys)), input);
  });

  /**
   * What the combobox does with a key; whether it did something.
   * @param {KeyboardEvent} event
   */
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
 * The list under the combobox. It stays where it was opened, whatever is picked meanwhile, and no
 * line of it moves when the kernel finds more.
 * @param {View} view
 * @param {HTMLInputElement} input
 * @param {KeyDialog} keys
 */
function createPopup(view, input, keys) {
  const id = newId();
  const list = h("div", { id, role: "listbox", "aria-label": "Models", "aria-multiselectable": "true", class: "llm-options" });
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
    const was = !element.hidden;
    element.hidden = true;
    state.active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    return was;
  };
  const open = () => {
    if (element.hidden) {
      view.model.send({ type: "choices" });
      place(element, input);
    }
    element.hidden = false;
    input.setAttribute("aria-expanded", "true");
    list.scrollTop = 0;
    offer(offered(choices(), input.value));
    activate(input.value.trim() ? 0 : -1);
  };
  /** @param {Group[]} groups */
  const offer = (groups) => {
    state.groups = groups;
    let from = 0;
    list.replaceChildren(...groups.map((group) => {
      from += group.choices.length;
      return createModelGroup(group, id, from - group.choices.length);
    }));
    setText(none, groups.length > 0 ? "" : input.value.trim() ? noMatch(choices(), input.value.trim()) : "No models.");
    tick();
  };
  /** More became known while the list is open: nothing that is looked at moves. */
  const grow = () => {
    const { scrollTop } = list;
    const { active, groups } = state;
    const found = offered(choices(), input.value);
    offer(groups.length > 0 ? grown(groups, found, choices()) : found);
    mark(active);
    list.scrollTop = scrollTop;
  };
  const tick = () => {
    const full = new Set(chosen().map((model) => choiceOf(choices(), model)?.model ?? model));
    for (const [at, choice] of lines().entries()) options()[at]?.setAttribute("aria-selected", String(full.has(choice.model)));
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
    refill(help, [provider, unusable], () => (unusable ? [createKeyHelp(view, provider, keys)] : []), input);
    return active;
  };
  /** @param {number} index */
  const activate = (index) => mark(index)?.scrollIntoView({ block: "nearest" });
  /** @param {number} step */
  const move = (step) => {
    if (element.hidden) return open();
    const many = lines().length;
    if (many > 0) activate((Math.max(state.active, step < 0 ? 0 : -1) + step + many) % many);
  };
  /** @param {string} model */
  const toggle = (model) => {
    const label = labelOf(choices(), model);
    const same = chosen().filter((name) => (choiceOf(choices(), name)?.model ?? name) === model);
    view.edit("models", same.length > 0 ? chosen().filter((name) => !same.includes(name)) : [...chosen(), model]);
    view.say(same.length > 0 ? `${label} removed.` : `${label} added.`);
  };
  /** A full name need not be in the list: the provider may know it. */
  const take = () => {
    const typed = input.value.trim();
    const known = choices().find((choice) => choice.model === typed || choice.label === typed);
    const active = element.hidden ? undefined : lines()[state.active];
    const moved = active !== undefined && state.active > 0;
    const model = moved ? active.model : known?.model ?? (typed.includes(":") ? typed : active?.model ?? typed);
    if (model) toggle(model);
    input.select();
  };
  /** @type {Record<string, () => void>} */
  const acts = { ArrowDown: () => move(1), ArrowUp: () => move(-1), Enter: take };
  /** @param {string} name */
  const key = (name) => {
    const act = Object.hasOwn(acts, name) ? acts[name] : undefined;
    act?.();
    return act !== undefined;
  };
  // A press on the list must not take the focus from the input before the click arrives.
  list.addEventListener("mousedown", (event) => event.preventDefault(), { signal: view.signal });
  list.addEventListener("click", (event) => {
    const item = event.target instanceof Element ? event.target.closest("[role=option]") : null;
    const index = item ? options().indexOf(item) : -1;
    const choice = lines()[index];
    if (choice) toggle(choice.model);
    if (choice) mark(index);
  }, { signal: view.signal });
  follow(view, ["models"], tick);
  follow(view, ["choices", "unusable"], () => {
    if (!element.hidden) grow();
  });
  return { element, open, close, key };
}

/**
 * Below the input, within the panel.
 * @param {HTMLElement} popup
 * @param {HTMLElement} input
 */
function place(popup, input) {
  const frame = popup.parentElement?.getBoundingClientRect();
  const at = input.getBoundingClientRect();
  if (!frame) return;
  const width = Math.min(frame.width, 600);
  popup.style.width = `${width}px`;
  popup.style.top = `${at.bottom - frame.top + 4}px`;
  popup.style.left = `${Math.max(0, Math.min(at.left - frame.left, frame.width - width))}px`;
}

/**
 * The providers of chosen models that cannot be used now.
 * @param {View} view
 * @param {readonly string[]} chosen
 */
function unusableOf({ model }, chosen) {
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
  const known = choiceOf(choices, model);
  const label = labelOf(choices, model);
  const unusable = view.model.get("unusable")[providerOf(choices, model)];
  const off = known ? !known.available : unusable !== undefined;
  const side = off ? known?.reason || "no key" : known?.price ?? "";
  const vendor = known?.vendor ?? unusable?.vendor ?? model.split(":")[0];
  const cross = button("×", { class: "llm-cross", "aria-label": `Remove ${label}`, title: `Remove ${label}` },
    view.signal, () => remove(model));
  const title = [known?.model ?? model, known?.about, ...(known?.badges ?? [])].filter(Boolean).join(" · ");
  return h("span", { class: off ? "llm-chip llm-off" : "llm-chip", title }, createMark(vendor),
    h("span", { class: "llm-name" }, label), h("span", { class: "llm-side" }, side), cross);
}
