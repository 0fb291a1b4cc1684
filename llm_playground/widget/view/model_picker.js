// The model picker: selected models as chips, and a combobox that adds more.

import { createKeyHelp } from "./api_keys.js";
import { button, follow, h, replaceContent } from "./dom.js";
import { findChoice, labelOf, providerOf } from "./model_choices.js";
import { createMark, createModelList } from "./model_list.js";
import { createUndo } from "./status_line.js";

/** @typedef {import("./dom.js").View} View */

/**
 * Create the picker. `key` handles a key of the combobox and returns whether it did; `close` returns
 * whether something was open.
 * @param {View} view
 * @returns {{element: HTMLElement, input: HTMLInputElement, close: () => boolean,
 *   key: (event: KeyboardEvent) => boolean}}
 */
export function createPicker(view) {
  const { signal } = view;
  const input = h("input", {
    type: "text", role: "combobox", "aria-label": "Model", "aria-expanded": "false",
    "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false",
    placeholder: "+ Add", "data-llm": "model", class: "llm-add",
  });
  const popup = createModelList(view, input);
  const chips = h("span", { class: "llm-chips" });
  const fixes = h("div", { class: "llm-fixes" });
  const undo = createUndo(view, input);
  const element = h("div", { class: "llm-models" },
    h("span", { class: "llm-form-head", "aria-hidden": "true" }, "Model"),
    chips, h("span", { class: "llm-combo" }, input), popup.element, fixes);

  /** @returns {string[]} */
  const chosen = () => view.model.get("models");
  /** @param {string} model */
  const remove = (model) => {
    const before = chosen();
    view.edit("models", before.filter((name) => name !== model));
    undo.offer(`${labelOf(view.model.get("choices"), model)} was removed.`, () => view.edit("models", before));
    input.focus();
  };
  /** @param {FocusEvent} event */
  const onFocusLeave = (event) => {
    const to = event.relatedTarget;
    const { element: dialog } = view.keyDialog;
    if (to instanceof Node && (popup.element.contains(to) || dialog.contains(to) || to === input)) return;
    if (!dialog.open && popup.close()) input.value = "";
  };
  input.addEventListener("input", popup.open, { signal });
  input.addEventListener("click", popup.open, { signal });
  input.addEventListener("blur", onFocusLeave, { signal });
  popup.element.addEventListener("focusout", onFocusLeave, { signal });
  follow(view, ["models", "choices", "unusable", "price"], () => {
    const { rates = {} } = view.model.get("price");
    const details = chosen().map((model) => [model, findChoice(view.model.get("choices"), model)]);
    const unusable = unusableProviders(view, chosen());
    replaceContent(chips, [details, unusable, rates], () => chosen().map((model) => createChip(view, model, remove)), input);
    const lines = unusable.map((provider) => view.model.get("unusable")[provider]);
    replaceContent(fixes, lines, () => unusable.map((provider) => (
      createKeyHelp(view, view.model.get("unusable")[provider], { provider, fallbackFocus: input }))), input);
  });

  undo.dropAfterChange(["models"]);

  /** @param {KeyboardEvent} event */
  const key = (event) => {
    if (event.target !== input || event.ctrlKey || event.metaKey) return false;
    if (event.key === "Backspace" && input.value === "" && chosen().length > 0) {
      remove(/** @type {string} */ (chosen().at(-1)));
      return true;
    }
    return popup.key(event.key);
  };
  const close = () => {
    if (!popup.close()) return view.keyDialog.close();
    input.value = "";
    input.focus();
    return true;
  };
  return { element, input, close, key };
}

/**
 * The providers of selected models that cannot be used now.
 * @param {View} view
 * @param {readonly string[]} chosen
 */
function unusableProviders({ model }, chosen) {
  const providers = chosen.map((name) => providerOf(model.get("choices"), name));
  return [...new Set(providers)].filter((provider) => Object.hasOwn(model.get("unusable"), provider));
}

/**
 * @param {View} view
 * @param {string} model
 * @param {(model: string) => void} remove
 */
function createChip(view, model, remove) {
  const choices = view.model.get("choices");
  const known = findChoice(choices, model);
  const label = labelOf(choices, model);
  const unusable = view.model.get("unusable")[providerOf(choices, model)];
  const off = known ? !known.available : unusable !== undefined;
  const side = off ? known?.reason || "no key" : view.model.get("price").rates?.[model] ?? known?.price ?? "";
  const provider = view.model.get("providers")[providerOf(choices, model)];
  const vendor = known?.vendor ?? provider?.vendor ?? model.split(":")[0];
  const cross = button("×", { class: "llm-cross", "aria-label": `Remove ${label}`, title: `Remove ${label}` },
    view.signal, () => remove(model));
  const { ends = "", ends_soon = false } = known ?? {};
  const title = [known?.model ?? model, ends, known?.about, ...(known?.badges ?? [])].filter(Boolean).join(" · ");
  return h("span", { class: off ? "llm-chip llm-off" : "llm-chip", title }, createMark(vendor),
    h("span", { class: "llm-name" }, label), h("span", { class: "llm-side" }, side),
    ...(ends_soon ? [h("span", { class: "llm-amber" }, ends)] : []), cross);
}

