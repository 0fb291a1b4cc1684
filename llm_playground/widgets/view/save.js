// "Save as…": the form as a version of a named prompt.

import { h, button, newId, setText } from "./dom.js";
import { createDialog } from "./dialog.js";

/** @typedef {import("./dom.js").View} View */

/** @param {View} view */
export function createSave(view) {
  const ids = { name: newId(), note: newId(), names: newId() };
  const name = h("input", {
    type: "text", id: ids.name, list: ids.names, autocomplete: "off", spellcheck: "false", placeholder: "invoice-summary",
  });
  const names = h("datalist", { id: ids.names });
  const note = h("input", { type: "text", id: ids.note, autocomplete: "off", placeholder: "What this version is about" });
  const problem = h("p", { class: "llm-problem", role: "alert" });
  const done = h("p", { class: "llm-version", role: "status" });
  const press = button("Save", { class: "llm-run" }, view.signal, () => save());
  const form = h("div", { class: "llm-save" },
    h("label", { for: ids.name, class: "llm-label" }, "Name"), name, names,
    h("label", { for: ids.note, class: "llm-label" }, "Note"), note,
    h("div", { class: "llm-save-foot" }, h("div", {}, problem, done), press));
  const dialog = createDialog(view, "Save as", form);
  let asked = 0;

  const save = () => {
    const mine = ++asked;
    setText(problem, "");
    setText(done, "");
    view.settle();
    view.ask("save_prompt", { name: name.value, note: note.value }).then((version) => {
      if (mine !== asked) return;
      note.value = "";
      done.replaceChildren("Saved as ", h("b", {}, version), ". Use it: ", h("code", {}, usage(version)));
    }, (/** @type {Error} */ error) => mine === asked && setText(problem, error.message));
  };
  view.localKeys.set(form, (event) => {
    const sends = event.key === "Enter" && event.target instanceof HTMLInputElement;
    if (sends) save();
    return sends;
  });
  const open = () => {
    setText(problem, "");
    setText(done, "");
    name.value ||= String(view.model.get("name") ?? "");
    dialog.open();
    name.focus();
    name.select();
    view.ask("prompt_names").then(
      (known) => names.replaceChildren(...known.map((/** @type {string} */ one) => h("option", { value: one }))),
      () => names.replaceChildren());
  };
  return { element: dialog.element, open, close: dialog.close };
}

/**
 * The code that asks a saved prompt again.
 * @param {string} version "name@3"
 */
export function usage(version) {
  return `lp.prompt(${JSON.stringify(version.replace(/@\d+$/, ""))})`;
}
