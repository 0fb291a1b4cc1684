// The answers: a column per model, panes of fixed height.

import { h, button, setText, show } from "./dom.js";
import { columns, neighbour, progress } from "./panes.js";
import { createPane } from "./pane.js";

/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./pane.js").PaneView} PaneView */
/** @typedef {import("./panes.js").Sheet} Sheet */

const EMPTY = "Answers appear here, side by side. Ctrl+Enter runs, ? shows all keys.";

/** @param {View} view */
export function createAnswers(view) {
  const line = h("span", { class: "llm-progress" });
  const stopAll = button("Stop all", { "data-llm": "stop", hidden: true }, view.signal, () => {
    view.model.send({ type: "stop" });
  });
  const grid = h("div", { class: "llm-grid" });
  const element = h("div", { class: "llm-answers" },
    h("div", { class: "llm-head" }, line, stopAll), grid);
  /** @type {Map<number, PaneView>} */
  const panes = new Map();
  /** @type {{sheet: Sheet | null}} */
  const drawn = { sheet: null };

  /** @param {Sheet} sheet */
  const rebuild = (sheet) => {
    const focused = grid.contains(document.activeElement);
    panes.clear();
    for (const pane of sheet.panes) panes.set(pane.number, createPane(view, pane));
    grid.replaceChildren(...columns(sheet.panes).map((column) => h("section", { class: "llm-column" },
      h("h4", { title: column.model }, column.model.replace(/^[a-z]+:/, "")),
      ...column.panes.map((pane) => /** @type {PaneView} */ (panes.get(pane.number)).element))));
    panes.values().next().value?.element.setAttribute("tabindex", "0");
    if (focused) panes.values().next().value?.element.focus({ preventScroll: true });
  };

  /** @param {Sheet} sheet */
  const paint = (sheet) => {
    if (sheet.run !== drawn.sheet?.run) rebuild(sheet);
    for (const pane of sheet.panes) panes.get(pane.number)?.paint(pane);
    drawn.sheet = sheet;
    setText(line, sheet.panes.length > 0 ? progress(sheet) : EMPTY);
    element.classList.toggle("llm-none-yet", sheet.panes.length === 0);
    const first = panes.values().next().value?.element ?? element;
    show(stopAll, sheet.running, first);
  };

  /** @param {EventTarget | null} target */
  const numberAt = (target) => {
    const pane = target instanceof Element ? target.closest("[data-llm=pane]") : null;
    return pane instanceof HTMLElement ? Number(pane.dataset["number"]) : 0;
  };
  /**
   * @param {number} number
   * @param {string} key
   */
  const move = (number, key) => {
    const next = neighbour(columns(drawn.sheet?.panes ?? []), number, key);
    for (const [at, pane] of panes) pane.element.setAttribute("tabindex", at === next ? "0" : "-1");
    panes.get(next)?.element.focus();
  };
  return { element, paint, numberAt, move, pane: (/** @type {number} */ number) => panes.get(number) };
}
