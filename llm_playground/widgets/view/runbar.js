// Iterations, what Run will send or what is wrong, and Run.

import { h, button, follow, newId, setText } from "./dom.js";
import { callsLine } from "./panes.js";

/** @typedef {import("./dom.js").View} View */

/**
 * Iterations, what Run will send or what is wrong, and Run.
 * @param {View} view
 */
export function createRunBar(view) {
  const id = newId();
  const spin = h("input", { type: "number", id, min: 1, max: 1000, step: 1, "data-llm": "iterations" });
  const price = h("span", { class: "llm-price", "data-llm": "price" });
  const problem = h("span", { class: "llm-problem", role: "alert" });
  const run = button("Run", { class: "llm-run", "data-llm": "run", title: "Ctrl+Enter" }, view.signal, view.run);
  const element = h("div", { class: "llm-bar" },
    h("label", { for: id, class: "llm-label" }, "Iterations"), spin,
    h("span", { class: "llm-slot" }, price, problem), run);
  const edit = () => view.edit("iterations", spin.value === "" ? null : Number(spin.value));
  spin.addEventListener("input", edit, { signal: view.signal });
  follow(view, ["iterations", "models", "problem", "running"], () => {
    const { model } = view;
    const iterations = model.get("iterations");
    if (document.activeElement !== spin) spin.value = iterations === null ? "" : String(iterations);
    setText(price, model.get("problem") ? "" : callsLine(model.get("models"), iterations));
    setText(problem, model.get("problem"));
    run.setAttribute("aria-disabled", String(model.get("running")));
  });
  return { element, run };
}
