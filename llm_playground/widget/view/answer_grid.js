// The grid of the answers: which column and row each one stands in, and what distinguishes these.
// Values and pure functions, without DOM.

import { shortModel } from "./answer_state.js";
import { differsLine } from "./history_list.js";

/** @typedef {import("./answer_state.js").Pane} Pane */

/**
 * A column. `cells` has one entry for each row, null where there is no answer.
 * @typedef {object} Column
 * @property {string} key
 * @property {string} of the model, where the columns do not differ in it
 * @property {string} head what distinguishes the column; empty if it is the only one
 * @property {string} title all of it, in full
 * @property {string} [note] what differs between its Run and the others
 * @property {readonly (Pane | null)[]} cells
 */

/**
 * What distinguishes a row: chips such as "case 3", "T 0.2" and "2 of 5", and the case's text.
 * @typedef {object} Row
 * @property {string} key
 * @property {readonly string[]} chips
 * @property {string} text
 */

/**
 * The same question stands in one row. A grid that `wraps` has a single column, whose rows are placed
 * side by side, as many as there is room for.
 * @typedef {{columns: readonly Column[], rows: readonly Row[], wraps: boolean}} Grid
 */

/**
 * The dimensions in which answers may differ.
 * @typedef {"model" | "prompt" | "case" | "parameters" | "iteration"} Dimension
 */

/** @typedef {{pane: Pane, at: Record<Dimension, string>}} Placed */

/** @type {readonly Dimension[]} */
const ROW_ORDER = ["prompt", "case", "parameters", "iteration"];
/** @type {readonly Dimension[]} */
const OTHER_COLUMNS = ["prompt", "parameters", "iteration"];
const MOST_OTHER_COLUMNS = 4;

/** The key of the column of a baseline of another Run. */
export const BASELINE = "baseline";

/** @type {Grid} */
export const NO_GRID = { columns: [], rows: [], wraps: false };

/**
 * Place answers in a grid: a column for each model. Where there is only one model, a column for each
 * prompt, value of the sweep or iteration, if these are few.
 * @param {readonly Pane[]} panes
 * @returns {Grid}
 */
export function gridOf(panes) {
  const placed = placedPanes(panes);
  const across = columnDimension(placed);
  const down = ROW_ORDER.filter((dimension) => dimension !== across && valuesOf(placed, dimension).size > 1);
  const names = { iterations: valuesOf(placed, "iteration").size, areAmbiguous: haveSameNames(panes) };
  /** @type {Map<string, Row & {y: number}>} */
  const rows = new Map();
  /** @type {Map<string, Omit<Column, "cells"> & {cells: Map<number, Pane>}>} */
  const columns = new Map();
  for (const one of placed) {
    const key = JSON.stringify(down.map((dimension) => one.at[dimension]));
    const row = rows.get(key) ?? { ...rowOf(key, down, one, names.iterations), y: rows.size };
    rows.set(key, row);
    const columnKey = across === null ? "" : one.at[across];
    const column = columns.get(columnKey)
      ?? { key: columnKey, ...columnHead(across, one, names), cells: new Map() };
    columns.set(columnKey, column);
    column.cells.set(row.y, one.pane);
  }
  return {
    columns: [...columns.values()].map((column) => ({
      ...column, cells: Array.from(rows, (_, y) => column.cells.get(y) ?? null),
    })),
    rows: [...rows.values()].map(({ key, chips, text }) => ({ key, chips, text })),
    wraps: across === null && rows.size > 1 && !down.includes("prompt") && !down.includes("case"),
  };
}

/**
 * Each answer with its place in every dimension. Answers that differ in nothing else are iterations.
 * @param {readonly Pane[]} panes
 * @returns {Placed[]}
 */
function placedPanes(panes) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  return panes.map((pane) => {
    const { case: row = "", prompt = "", parameters = "" } = pane.label;
    const same = JSON.stringify([pane.model, row, prompt, parameters]);
    const iteration = (counts.get(same) ?? 0) + 1;
    counts.set(same, iteration);
    return { pane, at: { model: pane.model, case: row, prompt, parameters, iteration: String(iteration) } };
  });
}

/**
 * The dimension of the columns; null if all answers stand in one.
 * @param {readonly Placed[]} placed
 * @returns {Dimension | null}
 */
function columnDimension(placed) {
  if (valuesOf(placed, "model").size > 1) return "model";
  const isFit = (/** @type {number} */ count) => count > 1 && count <= MOST_OTHER_COLUMNS;
  return OTHER_COLUMNS.find((dimension) => isFit(valuesOf(placed, dimension).size)) ?? null;
}

/**
 * @param {readonly Placed[]} placed
 * @param {Dimension} dimension
 */
function valuesOf(placed, dimension) {
  return new Set(placed.map(({ at }) => at[dimension]));
}

/**
 * @param {string} key
 * @param {readonly Dimension[]} down
 * @param {Placed} first
 * @param {number} iterations
 * @returns {Row}
 */
function rowOf(key, down, { pane, at }, iterations) {
  const text = down.includes("case") || down.includes("prompt") ? pane.label.text ?? "" : "";
  return { key, chips: down.map((dimension) => chip(dimension, at[dimension], iterations)), text };
}

/**
 * @param {Dimension} dimension
 * @param {string} value
 * @param {number} iterations
 */
function chip(dimension, value, iterations) {
  if (dimension === "iteration") return `${value} of ${iterations}`;
  return dimension === "parameters" ? shortParameters(value) : value;
}

/**
 * The values of a sweep in short: "T 0.2 · max tokens 20".
 * @param {string} text as the kernel writes it: "temperature 0.2 · max_tokens 20"
 */
export function shortParameters(text) {
  return text.replace(/(^| · )temperature /g, "$1T ").replaceAll("_", " ");
}

/**
 * Whether two models have the same name at different providers.
 * @param {readonly Pane[]} panes
 */
function haveSameNames(panes) {
  const models = new Set(panes.map(({ model }) => model));
  return new Set([...models].map(shortModel)).size < models.size;
}

/**
 * @param {Dimension | null} across
 * @param {Placed} first the column's first answer
 * @param {{iterations: number, areAmbiguous: boolean}} names
 */
function columnHead(across, { pane, at }, { iterations, areAmbiguous }) {
  const model = areAmbiguous ? pane.model : shortModel(pane.model);
  if (across === "model") return { of: "", head: model, title: pane.model };
  if (across === null) return { of: model, head: "", title: pane.model };
  const text = across === "prompt" ? pane.label.text ?? "" : "";
  const head = [chip(across, at[across], iterations), text].filter(Boolean).join(" · ");
  return { of: model, head, title: `${pane.model} · ${head}` };
}

/**
 * A grid with a column before the others, whose cells are given by the keys of the rows.
 * @param {Grid} grid
 * @param {Omit<Column, "cells">} column
 * @param {ReadonlyMap<string, Pane>} cells
 * @returns {Grid}
 */
export function withFirstColumn(grid, column, cells) {
  const own = grid.rows.map(({ key }) => cells.get(key) ?? null);
  return { ...grid, columns: [{ ...column, cells: own }, ...grid.columns], wraps: false };
}

/**
 * A grid with the answers of a baseline of another Run as its first column. An answer that several rows
 * are compared with stands in the first of these.
 * @param {Grid} grid
 * @param {import("./answer_state.js").Baseline | null} baseline
 * @returns {Grid}
 */
export function withBaseline(grid, baseline) {
  if (!baseline || baseline.panes.length === 0) return grid;
  const waiting = new Map(baseline.panes.map((pane) => [pane.number, pane]));
  /** @type {Map<string, Pane>} */
  const cells = new Map();
  for (const [y, { key }] of grid.rows.entries()) {
    const first = grid.columns.map((column) => column.cells[y]).find(Boolean);
    const other = baseline.of.get(first?.number ?? 0) ?? 0;
    const pane = waiting.get(other);
    if (pane) cells.set(key, pane);
    waiting.delete(other);
  }
  const title = `◆ baseline · ${baseline.title}`;
  const { differs = null } = baseline;
  const column = {
    key: BASELINE, of: "", head: title, title: [title, differs?.in_full].filter(Boolean).join("\n"),
    note: differsLine(differs, "same form"),
  };
  return withFirstColumn(grid, column, cells);
}

/**
 * The answers in reading order: row by row.
 * @param {Grid} grid
 * @returns {Pane[]}
 */
export function readingOrder({ columns, rows }) {
  return rows.flatMap((_, y) => columns.flatMap(({ cells }) => cells[y] ?? []));
}

/**
 * The number of the answer that an arrow key, Home or End moves to from answer `number`.
 * @param {Grid} grid
 * @param {number} number
 * @param {string} key
 * @param {(number: number) => boolean} isShown hidden answers are passed over
 * @param {number} across how many answers stand side by side in a grid that wraps
 * @returns {number}
 */
export function neighbor(grid, number, key, isShown, across) {
  const order = readingOrder(grid).map((pane) => pane.number).filter(isShown);
  if (key === "Home") return order[0] ?? number;
  if (key === "End") return order[order.length - 1] ?? number;
  const passed = grid.wraps ? stepInOrder(order, number, key, across) : lineFrom(grid, number, key);
  return passed.find(isShown) ?? number;
}

/**
 * The answers that an arrow passes from answer `number`, the nearest first.
 * @param {Grid} grid
 * @param {number} number
 * @param {string} key
 * @returns {number[]}
 */
function lineFrom({ columns }, number, key) {
  const numbers = columns.map(({ cells }) => cells.map((pane) => pane?.number ?? 0));
  const x = numbers.findIndex((column) => column.includes(number));
  const column = numbers[x];
  if (!column) return [];
  const y = column.indexOf(number);
  const row = numbers.map((one) => one[y] ?? 0);
  /** @type {Record<string, number[]>} */
  const lines = {
    ArrowUp: column.slice(0, y).reverse(), ArrowDown: column.slice(y + 1),
    ArrowLeft: row.slice(0, x).reverse(), ArrowRight: row.slice(x + 1),
  };
  return (lines[key] ?? []).filter((one) => one !== 0);
}

/**
 * @param {readonly number[]} order
 * @param {number} number
 * @param {string} key
 * @param {number} across
 * @returns {number[]}
 */
function stepInOrder(order, number, key, across) {
  /** @type {Record<string, number>} */
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across };
  const at = order.indexOf(number);
  const next = at < 0 ? undefined : order[at + (steps[key] ?? 0)];
  return next === undefined ? [] : [next];
}
