// Dialogs, menus, and the dialog that lists the keys.

import { button, h, setText } from "./dom.js";
import { KEY_HELP } from "./keyboard.js";

/** @typedef {import("./dom.js").View} View */

/** @typedef {ReturnType<typeof createDialog>} Dialog */

/**
 * Create a modal dialog. Esc, a click outside or its button close it.
 * @param {View} view
 * @param {string} name its heading and accessible name
 * @param {...Node} content
 * @returns {{element: HTMLDialogElement, open: () => void, close: () => boolean, rename: (name: string) => void}}
 */
export function createDialog(view, name, ...content) {
  const { signal } = view;
  const heading = h("h4", {}, name);
  const element = h("dialog", { class: "llm-dialog", "aria-label": name, tabindex: "-1" });
  /** Returns whether the dialog was open. */
  const close = () => {
    const wasOpen = element.open;
    element.close();
    return wasOpen;
  };
  const open = () => {
    if (element.open) return;
    element.showModal();
    element.focus(); // so that arrows scroll it and Tab moves to its first button
  };
  /** @param {string} newName */
  const rename = (newName) => {
    element.setAttribute("aria-label", newName);
    setText(heading, newName);
  };
  element.append(
    h("header", {}, heading, button("Close", { class: "llm-link" }, signal, () => close())),
    ...content);
  // The dialog has no padding, so a click on the element itself is on its backdrop.
  element.addEventListener("click", (event) => event.target === element && close(), { signal });
  // Esc closes the dialog only, and Ctrl+Enter does not run the form behind it.
  view.localKeys.set(element, (event) => {
    if (event.key === "Escape") return close();
    return event.key === "Enter" && (event.ctrlKey || event.metaKey);
  });
  signal.addEventListener("abort", () => element.close());
  return { element, open, close, rename };
}

/**
 * One item of a menu. `key` is the shortcut that does the same outside the menu.
 * @typedef {{label: string, key?: string, act: () => void}} MenuItem
 */

/**
 * Create a button that opens a menu. Arrows, Home and End move between items; Esc and Tab close it.
 * @param {View} view
 * @param {{text: string, name: string, class?: string}} opener
 * @param {() => readonly MenuItem[]} items called each time the menu opens
 * @returns {{element: HTMLElement, close: () => boolean}}
 */
export function createMenu(view, opener, items) {
  const openButton = button(opener.text, {
    class: opener.class ?? "llm-link", "aria-label": opener.name, title: opener.name,
    "aria-haspopup": "menu", "aria-expanded": "false",
  }, view.signal, () => (list.hidden ? open() : close()));
  // In the top layer no scrolling part of the panel cuts it.
  const list = h("div", {
    role: "menu", "aria-label": opener.name, class: "llm-menu", hidden: true, popover: "manual",
  });
  const element = h("span", { class: "llm-menu-place" }, openButton, list);

  /** Returns whether the menu was open. */
  const close = () => {
    const wasOpen = !list.hidden;
    const inside = list.contains(document.activeElement);
    if (wasOpen) list.hidePopover();
    list.hidden = true;
    openButton.setAttribute("aria-expanded", "false");
    window.removeEventListener("scroll", follow, { capture: true });
    if (inside) openButton.focus({ preventScroll: true });
    return wasOpen;
  };
  const open = () => {
    list.replaceChildren(...items().map(createItem));
    list.hidden = false;
    list.showPopover();
    placeBelow(list, openButton);
    openButton.setAttribute("aria-expanded", "true");
    window.addEventListener("scroll", follow, { capture: true, signal: view.signal });
    focusAt(0);
  };
  // In the top layer it would stay where it is while its button scrolls away.
  const follow = () => placeBelow(list, openButton);
  /** @param {MenuItem} item */
  const createItem = ({ label, key, act }) => {
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
  const onKey = (event) => {
    const index = [...list.children].indexOf(/** @type {Element} */ (document.activeElement));
    /** @type {Record<string, () => void>} */
    const acts = {
      ArrowDown: () => focusAt(index + 1), ArrowUp: () => focusAt(index - 1),
      Home: () => focusAt(0), End: () => focusAt(-1), Escape: close, Tab: close,
    };
    const act = acts[event.key];
    if (list.hidden || !act) return false;
    act();
    return event.key !== "Tab";
  };
  view.localKeys.set(element, onKey);
  element.addEventListener("focusout", (event) => {
    if (!element.contains(/** @type {Node | null} */ (event.relatedTarget))) close();
  }, { signal: view.signal });
  return { element, close };
}

/**
 * Place a menu below its button, or above it where there is more room, within the window.
 * @param {HTMLElement} list
 * @param {HTMLElement} opener
 */
function placeBelow(list, opener) {
  const [at, size] = [opener.getBoundingClientRect(), list.getBoundingClientRect()];
  const isBelow = at.bottom + size.height <= window.innerHeight || at.top < window.innerHeight - at.bottom;
  const left = at.left + size.width <= window.innerWidth ? at.left : at.right - size.width;
  list.style.top = `${Math.max(0, isBelow ? at.bottom : at.top - size.height)}px`;
  list.style.left = `${Math.max(0, left)}px`;
}

/**
 * Create the dialog that lists the keys.
 * @param {View} view
 */
export function createKeysDialog(view) {
  const rows = KEY_HELP.map(([key, what]) => h("tr", {}, h("th", { scope: "row" }, key), h("td", {}, what)));
  return createDialog(view, "Keys", h("div", { class: "llm-keys" },
    h("table", {}, h("tbody", {}, ...rows)), h("p", {}, "Single letters work outside the text boxes.")));
}
