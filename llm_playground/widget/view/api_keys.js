// What to do when a provider cannot be used: check again, enter a key, get a key.

import { button, h, newId, setText } from "./dom.js";
import { createDialog } from "./overlay.js";

/** @typedef {import("./dom.js").View} View */

/** @typedef {ReturnType<typeof createKeyDialog>} KeyDialog */
/** @typedef {{focus: () => void}} Focusable */

/**
 * A provider that cannot be used, as the kernel describes it.
 * @typedef {{vendor: string, line: string, page: string, wants_key: boolean}} Unusable
 */

/**
 * Create the line that says why a provider cannot be used, with buttons to fix that.
 * @param {View} view
 * @param {Unusable} unusable
 * @param {{provider: string, fallbackFocus: Focusable}} place
 */
export function createKeyHelp(view, { line, ...about }, { provider, fallbackFocus }) {
  return h("p", { class: "llm-fix" }, h("span", {}, line), ...createKeyActions(view, { provider, ...about }, fallbackFocus));
}

/**
 * Create the buttons that mend a provider's key: check again, enter one, get one.
 * @param {View} view
 * @param {{provider: string, vendor: string, page: string, wants_key: boolean}} about
 * @param {Focusable} fallbackFocus gets the focus if the button is no longer there
 */
export function createKeyActions(view, { provider, vendor, page, wants_key }, fallbackFocus) {
  const check = button("Check again", { class: "llm-link" }, view.signal, () => {
    check.setAttribute("aria-disabled", "true");
    view.request("check_keys", { provider })
      .then(view.status.say, view.status.report)
      .finally(() => check.removeAttribute("aria-disabled"));
  });
  const enter = button("Enter key…", { class: "llm-link", "aria-label": `Enter key for ${vendor}` }, view.signal,
    () => view.keyDialog.open(provider, { opener: enter, fallbackFocus }));
  const get = h("a", { class: "llm-link", href: page, target: "_blank", rel: "noopener noreferrer" }, "Get a key");
  return [...(wants_key ? [enter] : []), check, ...(wants_key && page.startsWith("https://") ? [get] : [])];
}

/**
 * The key that an answer failed for; `retry` are the answers that failed for it, once there is another key.
 * @typedef {{provider?: string, vendor?: string, page?: string, retry?: readonly number[]}} FailedKey
 */

/**
 * Create the buttons below an answer that failed for a key: they mend the key, then retry what failed for it.
 * @param {View} view
 * @param {FailedKey} key
 * @param {Focusable} fallbackFocus
 * @returns {HTMLElement[]}
 */
export function createKeyRepair(view, { provider = "", vendor = "", page = "", retry = [] }, fallbackFocus) {
  if (provider === "") return [];
  if (retry.length === 0) return createKeyActions(view, { provider, vendor, page, wants_key: true }, fallbackFocus);
  if (retry.length === 1) return [];
  return [button(`Retry all ${retry.length}`, { class: "llm-link", title: `All that failed for the key of ${vendor}` }, view.signal, () => {
    for (const number of retry) view.model.send({ type: "retry", number, changes: {} });
  })];
}

/**
 * Where the dialog was opened: `opener` gets the focus back, or `fallbackFocus` if it is no longer there;
 * `onSet` is called instead when the key was accepted.
 * @typedef {{opener: HTMLElement, fallbackFocus: Focusable, onSet?: () => void}} KeyDialogPlace
 */

/**
 * Create the dialog that sends a key to the kernel. The key is in that request only, never in a trait.
 * @param {View} view
 */
export function createKeyDialog(view) {
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
  /** @type {KeyDialogPlace | null} */
  let place = null;
  const clear = () => {
    secret.value = "";
    setText(problem, "");
  };
  const use = async () => {
    const key = secret.value;
    secret.value = "";
    view.status.say(await view.request("set_key", { provider, key }));
    dialog.close();
    place?.onSet?.();
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
    (place?.opener.isConnected ? place.opener : place?.fallbackFocus)?.focus();
  }, { signal: view.signal });
  /**
   * @param {string} newProvider
   * @param {KeyDialogPlace} from
   */
  const open = (newProvider, from) => {
    provider = newProvider;
    place = from;
    clear();
    setText(label, `Key of ${view.model.get("providers")[provider]?.vendor ?? provider}`);
    dialog.open();
    secret.focus();
  };
  return { element: dialog.element, open, close: dialog.close };
}
