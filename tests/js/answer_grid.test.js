import assert from "node:assert/strict";
import { test } from "node:test";
import {
  NO_GRID, gridOf, neighbor, readingOrder, shortParameters, withFirstColumn,
} from "../../llm_playground/widget/view/answer_grid.js";

const CASES = ["", "case 1", "case 2", "case 3"];

/** Panes as the kernel numbers them: by model, then case, then parameters, then iteration. */
function panes({ models = ["a:one"], cases = [""], prompts = [""], sweep = [""], iterations = 1 }) {
  const labels = models.flatMap((model) => cases.flatMap((name) => prompts.flatMap((prompt) => (
    sweep.flatMap((parameters) => Array.from({ length: iterations }, () => (
      { model, label: { case: name, prompt, parameters, text: name && `text of ${name}` } })))))));
  return labels.map((one, at) => ({ ...one, number: at + 1 }));
}
const shapeOf = (grid) => ({
  columns: grid.columns.map(({ of, head }) => [of, head].filter(Boolean).join(" | ")),
  rows: grid.rows.map(({ chips }) => chips.join(" · ")),
  cells: grid.columns.map(({ cells }) => cells.map((pane) => pane?.number ?? null)),
  wraps: grid.wraps,
});

const TABLE = [
  ["one answer", {}, { columns: ["one"], rows: [""], cells: [[1]], wraps: false }],
  ["models side by side", { models: ["a:one", "b:two"] },
    { columns: ["one", "two"], rows: [""], cells: [[1], [2]], wraps: false }],
  ["the same question on one line", { models: ["a:one", "b:two"], cases: CASES.slice(1, 3), iterations: 2 },
    { columns: ["one", "two"], rows: ["case 1 · 1 of 2", "case 1 · 2 of 2", "case 2 · 1 of 2", "case 2 · 2 of 2"],
      cells: [[1, 2, 3, 4], [5, 6, 7, 8]], wraps: false }],
  ["values of a sweep of one model", { sweep: ["temperature 0", "temperature 1"], iterations: 2 },
    { columns: ["one | T 0", "one | T 1"], rows: ["1 of 2", "2 of 2"], cells: [[1, 2], [3, 4]], wraps: false }],
  ["iterations of one model", { iterations: 3 },
    { columns: ["one | 1 of 3", "one | 2 of 3", "one | 3 of 3"], rows: [""], cells: [[1], [2], [3]], wraps: false }],
  ["prompts of one model", { prompts: ["prompt 1", "prompt 2"] },
    { columns: ["one | prompt 1", "one | prompt 2"], rows: [""], cells: [[1], [2]], wraps: false }],
  ["cases of one model", { cases: CASES.slice(1) },
    { columns: ["one"], rows: CASES.slice(1), cells: [[1, 2, 3]], wraps: false }],
  ["many iterations of one model", { iterations: 5 },
    { columns: ["one"], rows: ["1 of 5", "2 of 5", "3 of 5", "4 of 5", "5 of 5"], cells: [[1, 2, 3, 4, 5]], wraps: true }],
  ["the same name at two providers", { models: ["a:one", "b:one"] },
    { columns: ["a:one", "b:one"], rows: [""], cells: [[1], [2]], wraps: false }],
];
for (const [name, what, shape] of TABLE) {
  test(`places ${name}`, () => assert.deepEqual(shapeOf(gridOf(panes(what))), shape));
}

test("leaves a place empty where a model has no answer to a question", () => {
  const all = panes({ models: ["a:one", "b:two"], cases: CASES.slice(1, 3) });
  const grid = gridOf(all.filter(({ number }) => number !== 3));

  assert.deepEqual(shapeOf(grid).cells, [[1, 2], [null, 4]]);
  assert.deepEqual(readingOrder(grid).map(({ number }) => number), [1, 2, 4]);
});

test("says the text of a case once, in the head of its row", () => {
  assert.deepEqual(gridOf(panes({ cases: CASES.slice(1, 3) })).rows.map(({ text }) => text),
    ["text of case 1", "text of case 2"]);
  assert.deepEqual(gridOf(panes({ cases: CASES.slice(1, 2), iterations: 5 })).rows[0].text, "");
});

test("puts a column before the others, by the keys of the rows", () => {
  const grid = gridOf(panes({ models: ["a:one", "b:two"], cases: CASES.slice(1, 3) }));
  const pinned = { number: 9, model: "a:one", label: {} };

  const more = withFirstColumn(grid, { key: "baseline", of: "", head: "Run 1", title: "" },
    new Map([[grid.rows[1].key, pinned]]));

  assert.deepEqual(shapeOf(more).cells, [[null, 9], [1, 2], [3, 4]]);
});

test("writes the values of a sweep in short", () => {
  assert.equal(shortParameters("temperature 0.2 · max_tokens 20"), "T 0.2 · max tokens 20");
});

const GRID = gridOf(panes({ models: ["a:one", "b:two"], cases: CASES.slice(1) })); // 1 2 3, 4 5 6
const WRAPPED = gridOf(panes({ iterations: 7 })); // shown as 1 2 3, 4 5 6, 7
const STEPS = [
  [GRID, 1, "ArrowDown", 2], [GRID, 2, "ArrowUp", 1], [GRID, 1, "ArrowUp", 1], [GRID, 2, "ArrowRight", 5],
  [GRID, 5, "ArrowLeft", 2], [GRID, 5, "ArrowRight", 5], [GRID, 2, "Home", 1], [GRID, 1, "End", 6],
  [GRID, 9, "ArrowUp", 9], [NO_GRID, 1, "Home", 1],
  [WRAPPED, 1, "ArrowRight", 2], [WRAPPED, 2, "ArrowDown", 5], [WRAPPED, 5, "ArrowUp", 2],
  [WRAPPED, 6, "ArrowDown", 6], [WRAPPED, 3, "ArrowRight", 4], [WRAPPED, 1, "ArrowLeft", 1],
];
test("moves between columns and rows with arrows, to the ends with Home and End", () => {
  for (const [grid, from, key, to] of STEPS) {
    assert.equal(neighbor(grid, from, key, () => true, 3), to, `${from} ${key}`);
  }
});

test("passes over hidden answers", () => {
  const isShown = (number) => ![2, 1].includes(number);

  assert.equal(neighbor(GRID, 3, "ArrowUp", isShown, 1), 3);
  assert.equal(neighbor(GRID, 5, "ArrowUp", isShown, 1), 4);
  assert.equal(neighbor(GRID, 6, "Home", isShown, 1), 4);
});
