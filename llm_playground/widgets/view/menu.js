// A button that opens a short list of things to do: arrows, Home, End, letters, Enter, Esc.

import { h, button } from "./dom.js";

/** @typedef {import("./dom.js").View} View */

/**
 * One line of a menu. `key` is the letter that does the same outside the menu.
 * @typedef {{label: string, key?: string, act: () => void}} Item
 */

/**
 * @param {View} view
 * @param {{text: string, name: string, class?: string}} opener
 * @param {() => readonly Item[]} items asked for each time the menu opens
 * @returns {{element: HTMLElement, close: () => boolean}}
 */
export function createMenu(view, opener, items) {
  const press = button(opener.text, {
    class: opener.class ?? "llm-link", "aria-label": opener.name, title: opener.name,
    "aria-haspopup": "menu", "aria-expanded": "false",
  }, view.signal, () => (list.hidden ? open() : close()));
  const list = h("div", { role: "menu", "aria-label": opener.name, class: "llm-menu", hidden: true });
  const element = h("span", { class: "llm-menu-place" }, press, list);

  /** Whether there was something to close. */
  const close = () => {
    const was = !list.hidden;
    const inside = list.contains(document.activeElement);
    list.hidden = true;
    press.setAttribute("aria-expanded", "false");
    if (inside) press.focus({ preventScroll: true });
    return was;
  };
  const open = () => {
    list.replaceChildren(...items().map(line));
    list.hidden = false;
    press.setAttribute("aria-expanded", "true");
    focusAt(0);
  };
  /** @param {Item} item */
  const line = ({ label, key, act }) => {
    const row = h("button", { type: "button", role: "menuitem", tabindex: "-1" }, h("span", {}, label));
    if (key) row.append(h("kbd", {}, key));
    row.addEventListener("click", () => {
      close();
      act();
    }, { signal: view.signal });
    return row;
  };
  /** @param {number} index */
  const focusAt = (index) => {
    const rows = /** @type {HTMLElement[]} */ ([...list.children]);
    rows[(index + rows.length) % rows.length]?.focus({ preventScroll: true });
  };
  /** @param {KeyboardEvent} event */
  const take = (event) => {
    const at = [...list.children].indexOf(/** @type {Element} */ (document.activeElement));
    /** @type {Record<string, () => void>} */
    const acts = {
      ArrowDown: () => focusAt(at + 1), ArrowUp: () => focusAt(at - 1),
      Home: () => focusAt(0), End: () => focusAt(-1), Escape: close, Tab: close,
    };
    const act = acts[event.key];
    if (list.hidden || !act) return false;
    act();
    return event.key !== "Tab";
  };
  view.localKeys.set(element, take);
  element.addEventListener("focusout", (event) => {
    if (!element.contains(/** @type {Node | null} */ (event.relatedTarget))) close();
  }, { signal: view.signal });
  return { element, close };
}
