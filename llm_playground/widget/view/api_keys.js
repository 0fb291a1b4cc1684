// What to do when a provider cannot be used: check again, enter a key, get a key.

import { button, h, newId, setText } from "./dom.js";
import { createDialog } from "./overlay.js";

/** @typedef {import("./dom.js").View} View */

/** @typedef {ReturnType<typeof createKeyDialog>} KeyDialog */

/**
 * A provider that cannot be used, as the kernel describes it.
 * @typedef {{vendor: string, line: string, page: string, wants_key: boolean}} Unusable
 */

/**
 * Create the line that says why a provider cannot be used, with buttons to fix that.
 * @param {View} view
 * @param {string} provider
 * @param {KeyDialog} dialog
 */
export function createKeyHelp(view, provider, dialog) {
  /** @type {Unusable} */
  const { vendor, line, page, wants_key } = view.model.get("unusable")[provider];
  const check = button("Check again", { class: "llm-link" }, view.signal, () => {
    check.setAttribute("aria-disabled", "true");
    view.request("check_keys", { provider })
      .then(view.status.say, (error) => view.status.fail(error.message))
      .finally(() => check.removeAttribute("aria-disabled"));
  });
  const enter = button("Enter key…", { class: "llm-link", "aria-label": `Enter key for ${vendor}` }, view.signal,
    () => dialog.open(provider, enter));
  const get = h("a", { class: "llm-link", href: page, target: "_blank", rel: "noopener noreferrer" }, "Get a key");
  return h("p", { class: "llm-fix" }, h("span", {}, line), check, ...(wants_key ? [enter] : []),
    ...(wants_key && page.startsWith("https://") ? [get] : []));
}

/**
 * Create the dialog that sends a key to the kernel. The key is in that request only, never in a trait.
 * @param {View} view
 * @param {HTMLElement} fallbackFocus gets the focus if the opener is no longer there
 */
export function createKeyDialog(view, fallbackFocus) {
  const id = newId();
  const secret = h("input", {
    type: "password", id, autocomplete: "off", spellcheck: "false", "data-lpignore": "true", "data-1p-ignore": true,
  });
  const label = h("label", { for: id });
  const problem = h("p", { class: "llm-problem", role: "alert" });
  const form = h("form", { class: "llm-key", autocomplete: "off" }, label, secret,
    h("button", { type: "submit", class: "llm-run" }, "Use this key"), problem,
    h("p", {}, "The key is kept in this kernel's memory until the kernel stops; it is not written into the notebook."));
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
    view.status.say(await view.request("set_key", { provider, key }));
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
    (opener?.isConnected ? opener : fallbackFocus).focus();
  }, { signal: view.signal });
  /**
   * @param {string} newProvider
   * @param {HTMLElement} from gets the focus back
   */
  const open = (newProvider, from) => {
    provider = newProvider;
    opener = from;
    clear();
    setText(label, `Key of ${view.model.get("unusable")[provider]?.vendor ?? provider}`);
    dialog.open();
    secret.focus();
  };
  return { element: dialog.element, open, close: dialog.close };
}
