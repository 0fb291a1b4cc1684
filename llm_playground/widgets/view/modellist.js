// The open picker's list: models by provider, one line of facts each.

import { h } from "./dom.js";
import { markOf } from "./choices.js";

/** @typedef {import("./choices.js").Choice} Choice */
/** @typedef {import("./choices.js").Group} Group */

/**
 * The provider's two letters; its name is what is read out.
 * @param {string} vendor
 */
export function createMark(vendor) {
  return h("span", { class: "llm-mark", role: "img", "aria-label": vendor, title: vendor }, markOf(vendor));
}

/**
 * @param {Group} group
 * @param {string} id its options are `id-0`, `id-1`, ...
 * @param {number} from the number of its first option
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
  const off = choice.available ? [] : [h("span", { class: "llm-amber" }, choice.reason)];
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
