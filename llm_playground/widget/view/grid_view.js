// The elements of the grid of answers: heads of columns and rows, and the place of each answer.

import { BASELINE, readingOrder } from "./answer_grid.js";
import { h, newId } from "./dom.js";

/** @typedef {import("./answer_grid.js").Column} Column */
/** @typedef {import("./answer_grid.js").Grid} Grid */
/** @typedef {import("./answer_grid.js").Row} Row */

const MOST_TEXT = 90;

/**
 * A row of the grid on the page: all its elements, and the frames among them.
 * @typedef {{elements: readonly HTMLElement[], frames: readonly HTMLElement[]}} RowView
 */

/**
 * Fill an element with a grid whose answers have these frames, in reading order.
 * @param {HTMLElement} element
 * @param {Grid} grid
 * @param {ReadonlyMap<number, HTMLElement>} frames by the numbers of the answers
 * @returns {readonly RowView[]}
 */
export function fillGrid(element, grid, frames) {
  const hasRowHeads = grid.rows.length > 1;
  element.className = ["llm-grid", grid.wraps && "llm-wraps", hasRowHeads && !grid.wraps && "llm-with-rows",
    grid.columns.length > 1 && "llm-with-columns"].filter(Boolean).join(" ");
  element.style.setProperty("--columns", String(grid.columns.length));
  const heads = grid.columns.map(createColumnHead);
  const rows = grid.rows.map((row, y) => {
    const head = hasRowHeads ? createRowHead(row, grid.rows[y - 1]?.text ?? "") : null;
    const cells = grid.columns.map((column, x) => {
      const frame = frames.get(column.cells[y]?.number ?? 0);
      if (frame) describe(frame, column, [heads[x]?.id, head?.id]);
      const cell = frame ?? h("div", { class: "llm-no-answer" }, column.key === BASELINE && y > 0 ? "as above" : "");
      cell.classList.toggle("llm-first", x === 0 && !hasRowHeads);
      return cell;
    });
    const elements = head === null ? cells : [head, ...cells];
    return { elements, frames: cells.filter((cell) => cell.dataset["llm"] === "pane") };
  });
  const corner = hasRowHeads && !grid.wraps ? [h("div", { class: "llm-corner" })] : [];
  element.replaceChildren(...corner, ...heads, ...rows.flatMap(({ elements }) => (
    grid.wraps ? h("div", { class: "llm-wrapped" }, ...elements) : elements)));
  readingOrder(grid).slice(0, 1).forEach(({ number }) => frames.get(number)?.setAttribute("tabindex", "0"));
  return rows;
}

/**
 * Name a frame's column, for narrow panels, and what it is described by, for screen readers.
 * @param {HTMLElement} frame
 * @param {Column} column
 * @param {readonly (string | undefined)[]} heads ids
 */
function describe(frame, column, heads) {
  frame.dataset["column"] = column.head;
  frame.setAttribute("aria-describedby", heads.filter(Boolean).join(" "));
}

/** @param {Column} column */
function createColumnHead({ of, head, title, note = "" }) {
  const element = h("h4", { class: "llm-column-head", id: newId(), title });
  if (of) element.append(h("span", { class: head ? "llm-side" : "" }, of));
  if (head) element.append(h("span", {}, head));
  if (note) element.append(h("span", { class: "llm-side llm-note" }, note));
  return element;
}

/**
 * @param {Row} row
 * @param {string} textAbove the text of the row above, which is not repeated
 */
function createRowHead({ chips, text }, textAbove) {
  const element = h("div", { class: "llm-row-head", id: newId() },
    h("p", { class: "llm-facets" }, ...chips.map((chip) => h("span", { class: "llm-facet" }, chip))));
  if (text !== textAbove) element.append(h("p", { class: "llm-row-text", title: text }, shortened(text)));
  return element;
}

/** @param {string} text */
function shortened(text) {
  const letters = [...text];
  return letters.length <= MOST_TEXT ? text : `${letters.slice(0, MOST_TEXT - 1).join("")}…`;
}
