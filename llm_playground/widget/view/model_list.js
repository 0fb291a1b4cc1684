// The list under the model picker's combobox: models by provider, providers without listed models, and a
// name that is used as it is typed.

import { createKeyHelp } from "./api_keys.js";
import { follow, h, newId, replaceContent, setText } from "./dom.js";
import {
  extendListing, findChoice, labelOf, lineAgain, lineFor, linesOf, listingOf, markOf, noMatchMessage,
} from "./model_choices.js";

/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./model_choices.js").Choice} Choice */
/** @typedef {import("./model_choices.js").Group} Group */
/** @typedef {import("./model_choices.js").Listing} Listing */
/** @typedef {import("./model_choices.js").Offer} Offer */

/** @type {Listing} */
const NOTHING_LISTED = { typed: null, groups: [], offers: [], late: [] };
const GAP_PX = 4;
const HIGHEST_PX = 360; // of a full list with its hint and a line about a key

/**
 * Create the list. While it is open it keeps its position, and listed models keep their place when the
 * kernel finds more.
 * @param {View} view
 * @param {HTMLInputElement} input
 */
export function createModelList(view, input) {
  const id = newId();
  const list = h("div", {
    id, role: "listbox", "aria-label": "Models", "aria-multiselectable": "true", class: "llm-options",
  });
  const none = h("p", { class: "llm-nomatch", role: "status" });
  const help = h("div", {});
  // In the top layer no output area cuts it or gets scroll bars of its own.
  const element = h("div", { class: "llm-list", hidden: true, popover: "manual" }, list, none, help,
    h("p", { class: "llm-hint" }, "US dollars per million tokens, in/out. Enter adds or removes, Esc closes."));
  input.setAttribute("aria-controls", id);
  /** @type {{listing: Listing, active: number, waiting: boolean}} `waiting`: Enter was pressed before models were known */
  const state = { listing: NOTHING_LISTED, active: -1, waiting: false };

  /** Move the open list along with the panel. */
  let moveAlong = () => {};
  /** @returns {Choice[]} */
  const choices = () => view.model.get("choices");
  /** @returns {string[]} */
  const chosen = () => view.model.get("models");
  const found = () => listingOf(choices(), view.model.get("providers"), view.model.get("unusable"), input.value);
  const lines = () => linesOf(state.listing);
  const options = () => [...list.querySelectorAll("[role=option]")];

  const close = () => {
    const wasOpen = !element.hidden;
    if (wasOpen) element.hidePopover();
    element.hidden = true;
    window.removeEventListener("scroll", moveAlong, { capture: true });
    state.active = -1;
    state.waiting = false;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    return wasOpen;
  };
  const open = () => {
    if (element.hidden) {
      view.model.send({ type: "choices" });
      element.hidden = false;
      element.showPopover();
      moveAlong = attach(element, input);
      window.addEventListener("scroll", moveAlong, { capture: true, signal: view.signal });
    }
    state.waiting = false;
    input.setAttribute("aria-expanded", "true");
    list.scrollTop = 0;
    show(found());
    activate(input.value.trim() ? lineFor(state.listing, input.value) : -1);
  };
  /** @param {Listing} listing */
  const show = (listing) => {
    state.listing = listing;
    list.replaceChildren(...createLines(listing, id));
    const typed = input.value.trim();
    setText(none, lines().length > 0 ? "" : emptyMessage(typed));
    showSelection();
  };
  /** @param {string} typed */
  const emptyMessage = (typed) => {
    if (choices().length === 0) return "The models are being listed…";
    return typed ? noMatchMessage(choices(), view.model.get("providers"), typed) : "No models.";
  };
  /** Add models that the kernel found while the list is open. */
  const addChoices = () => {
    const { scrollTop } = list;
    const before = lines()[state.active];
    show(extendListing(state.listing, found(), choices()));
    mark(lineAgain(state.listing, before, input.value));
    list.scrollTop = scrollTop;
    if (state.waiting && choices().length > 0) {
      activate(lineFor(state.listing, input.value));
      pick();
    }
  };
  const showSelection = () => {
    const selected = new Set(chosen().map((model) => findChoice(choices(), model)?.model ?? model));
    for (const [at, line] of lines().entries()) {
      options()[at]?.setAttribute("aria-selected", String(selected.has(line.model)));
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
    replaceContent(help, [provider, unusable], () => (unusable ? [createKeyHelp(view, unusable, {
      provider, fallbackFocus: input,
    })] : []), input);
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
  /** Begin to name a model of a provider, after its key if that is missing. @param {Offer} offer */
  const begin = ({ provider, wantsKey }) => {
    const type = () => {
      input.value = `${provider}${wantsKey ? "" : ":"}`;
      open();
    };
    if (wantsKey) view.keyDialog.open(provider, { opener: input, fallbackFocus: input, onSet: type });
    else type();
  };
  /** @param {Choice | Offer} line */
  const take = (line) => {
    if (line.model === "") begin(/** @type {Offer} */ (line));
    else toggle(line.model);
  };
  /** Take the active line. What no line stands for is not added. */
  const pick = () => {
    if (element.hidden && input.value.trim()) open();
    state.waiting = choices().length === 0 && input.value.trim() !== "" && state.active < 0;
    const active = lines()[state.active];
    if (!active) return;
    input.select();
    take(active);
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
    const line = lines()[index];
    if (!line) return;
    mark(index);
    take(line);
  }, { signal: view.signal });
  follow(view, ["models"], showSelection);
  follow(view, ["choices", "unusable", "providers"], () => {
    if (!element.hidden) addChoices();
  });
  return { element, open, close, key };
}

/**
 * Position the list at the input, within the window: below it, or above it where there is more room.
 * Returns a function that moves the list as far as the panel has moved since.
 * @param {HTMLElement} popup
 * @param {HTMLElement} input
 */
function attach(popup, input) {
  const frame = /** @type {HTMLElement} */ (popup.parentElement);
  const [start, at] = [frame.getBoundingClientRect(), input.getBoundingClientRect()];
  const [above, below] = [at.top - GAP_PX, window.innerHeight - at.bottom - GAP_PX];
  const isBelow = below >= HIGHEST_PX || below >= above;
  const width = Math.min(start.width, 600);
  Object.assign(popup.style, {
    width: `${width}px`,
    maxHeight: `${isBelow ? below : above}px`,
    left: `${Math.max(start.left, Math.min(at.left, start.right - width))}px`,
    top: isBelow ? `${at.bottom + GAP_PX}px` : "auto",
    bottom: isBelow ? "auto" : `${window.innerHeight - above}px`,
    translate: "none",
  });
  return () => {
    const now = frame.getBoundingClientRect();
    popup.style.translate = `${now.left - start.left}px ${now.top - start.top}px`;
  };
}

/**
 * Create the provider's two-letter mark; screen readers read the provider's name.
 * @param {string} vendor
 */
export function createMark(vendor) {
  return h("span", { class: "llm-mark", role: "img", "aria-label": vendor, title: vendor }, markOf(vendor));
}

/**
 * Create all lines of the list, whose options have the ids `id-0`, `id-1`, ...
 * @param {Listing} listing
 * @param {string} id
 */
function createLines({ typed, groups, offers, late }, id) {
  let at = typed ? 1 : 0;
  const createGroup = (/** @type {Group} */ group) => {
    at += group.choices.length;
    return createModelGroup(group, id, at - group.choices.length);
  };
  const models = groups.map(createGroup);
  const others = offers.map((offer) => createOffer(offer, `${id}-${at++}`));
  const name = groups.length > 0 ? "More providers" : "Providers";
  const heading = h("div", { class: "llm-of", "aria-hidden": "true" }, h("span", {}, name));
  return [
    ...(typed ? [createOffer(typed, `${id}-0`)] : []), ...models,
    ...(others.length > 0 ? [h("div", { role: "group", "aria-label": name }, heading, ...others)] : []),
    ...late.map(createGroup),
  ];
}

/**
 * Create the models of one provider, under a heading.
 * @param {Group} group
 * @param {string} id prefix of the ids of its options
 * @param {number} from the index of its first option
 */
function createModelGroup(group, id, from) {
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
  const amber = [choice.ends_soon ? choice.ends : "", choice.available ? "" : choice.reason].filter(Boolean);
  const off = amber.flatMap((text) => [" ", h("span", { class: "llm-amber" }, text)]);
  const size = choice.context ? `${choice.context} context` : "";
  const facts = [choice.ends_soon ? "" : choice.ends, size].filter(Boolean).join(" · ");
  const item = h("div", { role: "option", id, "aria-selected": "false", class: "llm-option", title: choice.model },
    createMark(choice.vendor),
    h("span", { class: "llm-name" }, choice.label), " ",
    h("span", { class: "llm-badges" }, ...badges.flatMap((badge) => [h("span", { class: "llm-badge" }, badge), " "])),
    h("span", { class: "llm-cost" }, choice.price || "price unknown"), " ",
    h("span", { class: "llm-about" }, choice.about), " ",
    h("span", { class: "llm-facts" }, facts, ...off));
  item.classList.toggle("llm-off", !choice.available);
  return item;
}

/**
 * @param {Offer} offer
 * @param {string} id
 */
function createOffer({ vendor, provider, model, note, wantsKey }, id) {
  const act = wantsKey ? "Enter key…" : `Type ${provider}:name`;
  return h("div", { role: "option", id, "aria-selected": "false", class: "llm-option llm-offer" },
    createMark(vendor), h("span", { class: "llm-name" }, model || vendor), " ",
    h("span", { class: "llm-side" }, note), " ",
    ...(model ? [] : [h("span", { class: "llm-act" }, act)]));
}
