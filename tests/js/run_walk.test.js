import assert from "node:assert/strict";
import { test } from "node:test";
import { gridOf, withBaseline } from "../../llm_playground/widget/view/answer_grid.js";
import { NO_ANSWERS, applyMessage, counterpartOf } from "../../llm_playground/widget/view/answer_state.js";
import { changedLine, walkState } from "../../llm_playground/widget/view/run_walk.js";

const NOW = new Date(2026, 10, 23, 18, 0);
const AT = new Date(2026, 10, 23, 14, 2).toISOString();

/** @type {(number: number, model?: string) => {number: number, model: string, label: object}} */
const pane = (number, model = "a:one") => ({ number, model, label: {} });
/** @type {(of: [number, number][], panes: object[], isOwn?: boolean) => any} */
const pinned = (of, panes, isOwn = false) => ({ run: 1, answer: 1, isOwn, title: "Run 1, one", of, panes });
/** @type {(panes: object[], baseline: object | null) => any} */
const run = (panes, baseline) => ({ type: "run", run: 5, panes, baseline });

test("the walk appears with the second Run", () => {
  assert.equal(walkState({}, NOW).text, "");
  assert.equal(walkState({ number: 1, newest: 1, at: AT }, NOW).text, "");
  assert.equal(walkState({ number: 0, newest: 2, older: true }, NOW).text, "2 earlier Runs");
  const shown = walkState({ number: 3, newest: 4, older: true, newer: true, at: AT, about: "one × 2" }, NOW, "en-GB");
  assert.deepEqual([shown.text, shown.title, shown.about], ["Run 3 of 4 · 14:02", "asked 14:02 · one × 2", "one × 2"]);
  const newest = walkState({ number: 4, newest: 4, older: true, at: AT, about: "one" }, NOW, "en-GB");
  assert.deepEqual([newest.text, newest.about], ["Run 4 of 4", ""]);
  const opened = walkState({ number: 4, newest: 4, older: true, at: AT, opened: true }, NOW, "en-GB");
  assert.deepEqual([opened.text, opened.title], ["Run 4 of 4 · 14:02", "opened, asked 14:02"]);
});

test("names what has changed, in short", () => {
  assert.equal(changedLine([]), "");
  assert.equal(changedLine(["temperature 0.2 → 0.9", "prompt"]), "Changed since these answers: temperature 0.2 → 0.9 · prompt");
  assert.equal(changedLine(["a", "b", "c", "d"]), "Changed since these answers: a · b · c · d");
  assert.equal(changedLine(["a", "b", "c", "d", "e"]), "Changed since these answers: a · b · c · 2 more");
});

test("a baseline of another Run is the first column, each of its answers once", () => {
  const state = applyMessage(NO_ANSWERS, run([pane(1), pane(2), pane(3)], pinned([[1, 1], [2, 2], [3, 1]], [pane(1), pane(2)])));
  const { columns } = withBaseline(gridOf([...state.panes, ...[4, 5].map((number) => ({ ...state.panes[0], number }))]), state.baseline);
  assert.equal(columns[0]?.head, "◆ baseline · Run 1, one");
  assert.deepEqual(columns[0]?.cells.map((cell) => cell?.number ?? 0), [-1, -2, 0, 0, 0]);
  assert.equal(counterpartOf(state, 3)?.number, -1);
  assert.equal(counterpartOf(state, 9), null);
});

test("the column of a baseline says in what its Run differs", () => {
  for (const [differs, note, title] of /** @type {[object | null, string, string][]} */ ([
    [{ line: "temperature 0.2 → 0.9 · prompt", in_full: "a\nb" }, "differs: temperature 0.2 → 0.9 · prompt", "◆ baseline · Run 1, one\na\nb"],
    [{ line: "", in_full: "" }, "same form", "◆ baseline · Run 1, one"],
    [null, "", "◆ baseline · Run 1, one"],
  ])) {
    const { panes, baseline } = applyMessage(NO_ANSWERS, run([pane(1)], { ...pinned([[1, 1]], [pane(1)]), differs }));
    const [column] = withBaseline(gridOf(panes), baseline).columns;
    assert.deepEqual([column?.note, column?.title], [note, title]);
  }
});

test("a baseline of the same Run adds no column", () => {
  const state = applyMessage(NO_ANSWERS, run([pane(1), pane(2, "b:two")], pinned([[1, 1], [2, 1]], [], true)));
  assert.deepEqual(withBaseline(gridOf(state.panes), state.baseline), gridOf(state.panes));
  assert.equal(counterpartOf(state, 2)?.number, 1);
  assert.equal(counterpartOf(state, 1), null); // it is the pinned one
});

test("a baseline for other answers than those shown changes nothing", () => {
  const state = applyMessage(NO_ANSWERS, run([pane(1)], null));
  const message = /** @type {any} */ ({ type: "baseline", run: 5, baseline: pinned([[1, 1]], [pane(1)]) });
  assert.equal(applyMessage(state, { ...message, run: 4 }), state);
  assert.equal(applyMessage(state, message).baseline?.run, 1);
  assert.equal(applyMessage(state, { ...message, run: 6 }), state);
});
