// A dialog that sets the price of a model which no price list knows.

import { h, button, newId, setText } from "./dom.js";
import { createCopy } from "./clipboard.js";
import { createDialog } from "./dialog.js";
import { amount, keepingLine } from "./price.js";

/** @typedef {import("./dom.js").View} View */

/**
 * @param {View} view
 * @param {() => void} left called when the dialog has closed
 */
export function createPriceDialog(view, left) {
  const { signal } = view;
  const choice = h("select", { "aria-label": "Model of unknown price" });
  const only = h("p", { class: "llm-only" });
  const input = priceField("Input");
  const output = priceField("Output");
  const line = h("code", {});
  const copy = createCopy(view, "Line", { class: "llm-link" }, () => line.textContent ?? "");
  const missing = h("p", { class: "llm-problem", role: "alert" });
  const save = button("Set price", { class: "llm-run" }, signal, () => set());
  const form = h("div", { class: "llm-prices" },
    choice, only, h("div", { class: "llm-fields" }, ...input.parts, ...output.parts,
      h("span", { class: "llm-side" }, "US dollars per million tokens")), missing,
    h("p", {}, "It holds in this kernel. To keep it, put this in the notebook's first cell:"), line,
    h("div", { class: "llm-last" }, copy, save));
  const dialog = createDialog(view, "Set price", form);
  const paint = () => {
    setText(copy, "Copy");
    setText(line, keepingLine(choice.value, input.box.value, output.box.value));
  };
  form.addEventListener("input", paint, { signal });
  dialog.element.addEventListener("close", left, { signal });
  view.localKeys.set(form, (event) => {
    const sends = event.key === "Enter" && event.target instanceof HTMLInputElement;
    if (sends) set();
    return sends;
  });

  const set = () => {
    const wrong = [input, output].find(({ box }) => Number.isNaN(amount(box.value)));
    if (wrong) {
      setText(missing, `${wrong.name} is a number of US dollars, 0 or more.`);
      return wrong.box.focus();
    }
    const given = { model: choice.value, input_usd: amount(input.box.value), output_usd: amount(output.box.value) };
    view.ask("set_price", given).then(() => {
      view.say(`The price of ${given.model} is set.`);
      dialog.close();
    }, (/** @type {Error} */ error) => setText(missing, error.message));
  };
  /** @param {readonly string[]} models */
  const open = (models) => {
    choice.replaceChildren(...models.map((model) => h("option", { value: model }, model)));
    choice.hidden = models.length < 2;
    setText(only, models.length < 2 ? (models[0] ?? "") : "");
    for (const { box } of [input, output]) box.value = "";
    setText(missing, "");
    paint();
    dialog.open();
    (models.length > 1 ? choice : input.box).focus();
  };
  return { element: dialog.element, open, close: dialog.close };
}

/** @param {string} name */
function priceField(name) {
  const id = newId();
  const box = h("input", { type: "text", inputmode: "decimal", id, autocomplete: "off", placeholder: "0.00" });
  return { name, box, parts: [h("label", { for: id, class: "llm-label" }, name), box] };
}
