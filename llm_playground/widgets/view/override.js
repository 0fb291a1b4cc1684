// A line to say why calls are to be sent though a budget would refuse them.

import { h, button, setText } from "./dom.js";
import { plural } from "./panes.js";

/** @typedef {import("./dom.js").View} View */

/**
 * @param {View} view
 * @param {() => void} leave where the focus goes when nothing is sent
 */
export function createOverride(view, leave) {
  const { signal } = view;
  const box = h("input", {
    type: "text", "aria-label": "Reason for the override", "data-llm": "reason", maxlength: 500,
    placeholder: "Why? The audit log keeps it.", autocomplete: "off",
  });
  const send = button("Run all", { class: "llm-link" }, signal, () => submit());
  const cancel = button("Cancel", { class: "llm-link" }, signal, () => {
    close();
    leave();
  });
  const missing = h("span", { class: "llm-problem", role: "alert" });
  const element = h("span", { class: "llm-override", hidden: true }, box, send, cancel, missing);
  /** @type {{changed: () => void}} */
  const state = { changed: () => {} };

  const isOpen = () => !element.hidden;
  /** Whether there was something to close. */
  const close = () => {
    if (!isOpen()) return false;
    const inside = element.contains(document.activeElement);
    element.hidden = true;
    box.value = "";
    setText(missing, "");
    state.changed();
    if (inside) leave();
    return true;
  };
  /** @param {number} calls */
  const open = (calls) => {
    setText(send, calls === 1 ? "Run it all the same" : `Run all ${plural(calls, "call")}`);
    element.hidden = false;
    state.changed();
    box.focus();
  };
  const submit = () => {
    const reason = box.value.trim();
    setText(missing, reason ? "" : "Say why.");
    box.setAttribute("aria-invalid", String(!reason));
    if (!reason) return box.focus();
    view.run({ override: reason });
    close();
  };
  view.localKeys.set(element, (event) => {
    const sends = event.target === box && event.key === "Enter";
    if (sends) submit();
    return sends;
  });
  return { element, open, close, isOpen, onChange: (/** @type {() => void} */ react) => { state.changed = react; } };
}
