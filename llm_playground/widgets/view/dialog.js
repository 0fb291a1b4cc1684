// A dialog over the panel: named, closed by Esc, a press outside or its button.

import { h, button } from "./dom.js";

/** @typedef {import("./dom.js").View} View */

/**
 * @param {View} view
 * @param {string} name its heading and accessible name
 * @param {...Node} content
 * @returns {{element: HTMLDialogElement, open: () => void, close: () => boolean}}
 */
export function createDialog({ signal }, name, ...content) {
  const element = h("dialog", { class: "llm-dialog", "aria-label": name });
  /** Whether there was something to close. */
  const close = () => {
    const was = element.open;
    element.close();
    return was;
  };
  const open = () => {
    if (!element.open) element.showModal();
  };
  element.append(
    h("header", {}, h("h4", {}, name), button("Close", { class: "llm-link" }, signal, () => close())),
    ...content);
  // The dialog fills itself with padding-free children: a press on the dialog itself is one outside.
  element.addEventListener("click", (event) => event.target === element && close(), { signal });
  return { element, open, close };
}
