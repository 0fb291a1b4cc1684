// What to do where a provider cannot be used: look again, type a key, get one.

import { h, button, newId, setText } from "./dom.js";
import { createDialog } from "./dialog.js";

/** @typedef {import("./dom.js").View} View */
/** @typedef {ReturnType<typeof createKeyDialog>} KeyDialog */

/**
 * What the kernel says of a provider that cannot be used (offers.py).
 * @typedef {{vendor: string, line: string, page: string, wants_key: boolean}} Unusable
 */

/**
 * One line with its ways out.
 * @param {View} view
 * @param {string} provider
 * @param {KeyDialog} dialog
 */
export function createKeyHelp(view, provider, dialog) {
  /** @type {Unusable} */
  const { vendor, line, page, wants_key } = view.model.get("unusable")[provider];
  const look = button("Check again", { class: "llm-link" }, view.signal, () => {
    look.setAttribute("aria-disabled", "true");
    view.ask("look_for_keys", { provider })
      .then(view.say, (error) => view.say(error.message))
      .finally(() => look.removeAttribute("aria-disabled"));
  });
  const enter = button("Enter key…", { class: "llm-link", "aria-label": `Enter key for ${vendor}` }, view.signal,
    () => dialog.open(provider, enter));
  const get = h("a", { class: "llm-link", href: page, target: "_blank", rel: "noopener noreferrer" }, "Get a key");
  return h("p", { class: "llm-fix" }, h("span", {}, line), look, ...(wants_key ? [enter] : []),
    ...(wants_key && page.startsWith("https://") ? [get] : []));
}

/**
 * Takes a key and hands it to the kernel, in a question and nowhere else.
 * @param {View} view
 * @param {HTMLElement} heir of the focus, where the opener is gone
 */
export function createKeyDialog(view, heir) {
  const id = newId();
  const secret = h("input", {
    type: "password", id, autocomplete: "off", spellcheck: "false", "data-lpignore": "true", "data-1p-ignore": true,
  });
  const label = h("label", { for: id });
  const problem = h("p", { class: "llm-problem", role: "alert" });
  const form = h("form", { class: "llm-key", autocomplete: "off" }, label, secret,
    h("button", { type: "submit", class: "llm-run" }, "Use this key"), problem,
    h("p", {}, "It stays in this kernel's memory and goes with it; it is not written into the notebook."));
  const dialog = createDialog(view, "API key", form);
  let provider = "";
  /** @type {HTMLElement | null} */
  let opener = null;
  const clear = () => {
    secret.value = "";
    setText(problem, "");
  };
  const use = async () => {
    const key = secret.value;
    secret.value = "";
    view.say(await view.ask("set_key", { provider, key }));
    dialog.close();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    setText(problem, "");
    use().catch((error) => {
      setText(problem, error.message);
      secret.focus();
    });
  }, { signal: view.signal });
  dialog.element.addEventListener("close", () => {
    clear();
    (opener?.isConnected ? opener : heir).focus();
  }, { signal: view.signal });
  /**
   * @param {string} whose
   * @param {HTMLElement} from where the focus goes back to
   */
  const open = (whose, from) => {
    provider = whose;
    opener = from;
    clear();
    setText(label, `Key of ${view.model.get("unusable")[whose]?.vendor ?? whose}`);
    dialog.open();
    secret.focus();
  };
  return { element: dialog.element, open, close: dialog.close };
}
