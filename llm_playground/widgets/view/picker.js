// The chosen models as chips, and a combobox that adds one.

import { h, button, follow, newId } from "./dom.js";
import { choiceOf, grown, labelOf, matching, noMatch } from "./choices.js";

/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./choices.js").Choice} Choice */

/**
 * @param {View} view
 * @returns {{element: HTMLElement, input: HTMLInputElement, close: () => boolean,
 *   key: (event: KeyboardEvent) => boolean}}
 */
export function createPicker(view) {
  const listId = newId();
  const input = h("input", {
    type: "text", role: "combobox", "aria-label": "Model", "aria-expanded": "false",
    "aria-controls": listId, "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false",
    placeholder: "+ Add", "data-llm": "model", class: "llm-add",
  });
  const list = h("ul", { id: listId, role: "listbox", "aria-label": "Models", class: "llm-list", hidden: true });
  const chips = h("span", { class: "llm-chips" });
  const element = h("div", { class: "llm-models" },
    h("span", { class: "llm-label", "aria-hidden": "true" }, "Model"),
    chips, h("span", { class: "llm-combo" }, input, list));
  /** @type {{offered: Choice[], active: number}} */
  const state = { offered: [], active: -1 };

  /** @returns {Choice[]} */
  const choices = () => view.model.get("choices");
  /** @returns {string[]} */
  const chosen = () => view.model.get("models");

  const close = () => {
    const was = !list.hidden;
    list.hidden = true;
    state.active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    return was;
  };
  /** @param {string} model */
  const add = (model) => {
    if (!chosen().includes(model)) view.edit("models", [...chosen(), model]);
    view.say(`${labelOf(choices(), model)} added.`);
    input.value = "";
    close();
  };
  const open = () => {
    if (list.hidden) view.model.send({ type: "choices" });
    const wanted = input.value.trim();
    offer(matching(choices(), input.value, chosen()));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    activate(wanted && state.offered.length > 0 ? 0 : -1);
  };
  /** More became known while the list is open: nothing that is looked at moves. */
  const grow = () => {
    if (state.offered.length === 0) return open();
    const { active } = state;
    const { scrollTop } = list;
    offer(grown(state.offered, matching(choices(), input.value, chosen())));
    activate(active);
    list.scrollTop = scrollTop;
  };
  /** @param {Choice[]} offered */
  const offer = (offered) => {
    state.offered = offered;
    const wanted = input.value.trim();
    const nothing = h("li", { role: "presentation", class: "llm-none" },
      wanted ? noMatch(choices(), wanted) : "No more models.");
    const options = offered.map((choice, index) => option(choice, `${listId}-${index}`));
    list.replaceChildren(...(options.length > 0 ? options : [nothing]));
  };
  /** @param {number} index */
  const activate = (index) => {
    state.active = index;
    for (const [at, item] of [...list.children].entries()) {
      item.setAttribute("aria-selected", String(at === index));
    }
    const active = list.children[index];
    if (active) {
      input.setAttribute("aria-activedescendant", active.id);
      active.scrollIntoView({ block: "nearest" });
    } else {
      input.removeAttribute("aria-activedescendant");
    }
  };
  /** @param {number} step */
  const move = (step) => {
    if (list.hidden) return open();
    const many = state.offered.length;
    if (many > 0) activate((Math.max(state.active, step < 0 ? 0 : -1) + step + many) % many);
  };
  const take = () => {
    const choice = state.offered[state.active];
    const typed = input.value.trim();
    // A full name need not be in the list: the provider may know it.
    const free = choices().some((c) => c.model === typed || c.label === typed) || typed.includes(":");
    if (free) add(choices().find((c) => c.label === typed)?.model ?? typed);
    else if (choice && !list.hidden) add(choice.model);
    else if (typed) add(typed);
  };

  /** @type {Record<string, () => void>} */
  const keys = { ArrowDown: () => move(1), ArrowUp: () => move(-1), Enter: take };
  const { signal } = view;
  /**
   * What the combobox does with a key; whether it did something.
   * @param {KeyboardEvent} event
   */
  const key = (event) => {
    if (event.target !== input || event.ctrlKey || event.metaKey) return false;
    const act = keys[event.key];
    if (act) act();
    else if (event.key === "Backspace" && input.value === "" && chosen().length > 0) {
      view.edit("models", chosen().slice(0, -1));
    }
    return act !== undefined;
  };
  input.addEventListener("input", open, { signal });
  input.addEventListener("click", open, { signal });
  input.addEventListener("blur", () => close(), { signal });
  // A press on the list must not take the focus from the input before the click arrives.
  list.addEventListener("mousedown", (event) => event.preventDefault(), { signal });
  list.addEventListener("click", (event) => {
    const item = event.target instanceof Element ? event.target.closest("[role=option]") : null;
    const choice = item ? state.offered[[...list.children].indexOf(item)] : undefined;
    if (choice) add(choice.model);
  }, { signal });

  /** @param {string} model */
  const remove = (model) => {
    view.edit("models", chosen().filter((name) => name !== model));
    input.focus();
  };
  const showChips = () => {
    chips.replaceChildren(...chosen().map((model) => chip(view, choices(), model, remove)));
  };
  follow(view, ["models"], () => {
    showChips();
    if (!list.hidden) open();
  });
  follow(view, ["choices"], () => {
    showChips();
    if (!list.hidden) grow();
  });
  return { element, input, close, key };
}

/**
 * @param {Choice} choice
 * @param {string} id
 */
function option(choice, id) {
  const side = choice.available ? choice.price : choice.reason;
  const item = h("li", { role: "option", id, "aria-selected": "false" },
    h("span", {}, choice.label), h("span", { class: "llm-side" }, side));
  if (!choice.available) item.classList.add("llm-off");
  return item;
}

/**
 * @param {View} view
 * @param {Choice[]} choices
 * @param {string} model
 * @param {(model: string) => void} remove
 */
function chip(view, choices, model, remove) {
  const known = choiceOf(choices, model);
  const label = labelOf(choices, model);
  const side = known && !known.available ? known.reason : (known?.price ?? "");
  const cross = button("×", { class: "llm-cross", "aria-label": `Remove ${label}`, title: `Remove ${label}` },
    view.signal, () => remove(model));
  return h("span", { class: known && !known.available ? "llm-chip llm-off" : "llm-chip", title: known?.model ?? model },
    h("span", {}, label), h("span", { class: "llm-side" }, side), cross);
}
