// A dialog over the panel: named, closed by Esc, a press outside or its button.

import { h, button, setText } from "./dom.js";

/** @typedef {import("./dom.js").View} View */
/** @typedef {ReturnType<typeof createDialog>} Dialog */

/**
 * @param {View} view
 * @param {string} name its heading and accessible name
 * @param {...Node} content
 * @returns {{element: HTMLDialogElement, open: () => void, close: () => boolean, rename: (name: string) => void}}
 */
export function createDialog(view, name, ...content) {
  const { signal } = view;
  const heading = h("h4", {}, name);
  const element = h("dialog", { class: "llm-dialog", "aria-label": name, tabindex: "-1" });
  /** Whether there was something to close. */
  const close = () => {
    const was = element.open;
    element.close();
    return was;
  };
  const open = () => {
    if (element.open) return;
    element.showModal();
    element.focus(); // from here arrows scroll it, and Tab leads to its first button
  };
  /** @param {string} given */
  const rename = (given) => {
    element.setAttribute("aria-label", given);
    setText(heading, given);
  };
  element.append(
    h("header", {}, heading, button("Close", { class: "llm-link" }, signal, () => close())),
    ...content);
  // The dialog fills itself with padding-free children: a press on the dialog itself is one outside.
  element.addEventListener("click", (event) => event.target === element && close(), { signal });
  // Esc closes the uppermost thing; Ctrl+Enter does not run what is behind the dialog.
  view.localKeys.set(element, (event) => {
    if (event.key === "Escape") return close();
    return event.key === "Enter" && (event.ctrlKey || event.metaKey);
  });
  signal.addEventListener("abort", () => element.close());
  return { element, open, close, rename };
}
