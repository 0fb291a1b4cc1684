import assert from "node:assert/strict";
import { test } from "node:test";
import {
  EMPTY_SHEET, announcement, columns, neighbour, progress, receive,
} from "../../llm_playground/widgets/view/panes.js";

const opening = {
  type: "run", run: 1,
  panes: [{ number: 1, model: "a" }, { number: 2, model: "a" }, { number: 3, model: "b" }],
};
const started = receive(EMPTY_SHEET, opening);
const events = (panes, more = {}) => ({ type: "events", run: 1, panes, ...more });

test("a new Run replaces the panes", () => {
  const next = receive(receive(started, events([{ number: 1, tail: "old" }])), { ...opening, run: 2 });

  assert.equal(next.run, 2);
  assert.deepEqual(next.panes.map((pane) => pane.tail), ["", "", ""]);
});

test("new text is appended, everything else is replaced", () => {
  const one = receive(started, events([{ number: 2, tail: "Hel", state: "running", status: "x" }]));
  const two = receive(one, events([{ number: 2, tail: "lo", status: "" }]));

  assert.equal(two.panes[1].tail, "Hello");
  assert.equal(two.panes[1].state, "running");
  assert.equal(two.panes[1].status, "");
  assert.equal(one.panes[1].tail, "Hel", "a sheet is never changed in place");
  assert.equal(two.panes[0], one.panes[0], "a pane without news stays the same object");
});

test("new blocks come with all of the tail that follows them", () => {
  const one = receive(started, events([{ number: 1, tail: "# Sea\nIt" }]));
  const two = receive(one, events([{ number: 1, blocks: ["<h1>Sea</h1>"], tail: "It is" }]));
  const three = receive(two, events([{ number: 1, tail: " wide" }]));

  assert.deepEqual([three.panes[0].blocks, three.panes[0].tail], [["<h1>Sea</h1>"], "It is wide"]);
});

test("an answer that begins anew, and one that is mended as a whole, are drawn anew", () => {
  const one = receive(started, events([{ number: 1, blocks: ["<p>a</p>"], tail: "b", notices: ["x"] }]));
  const anew = receive(one, events([{ number: 1, again: true, state: "waiting" }]));
  const whole = receive(one, events([{ number: 1, whole: ["<p>ab</p>"] }]));

  assert.deepEqual([anew.panes[0].blocks, anew.panes[0].tail, anew.panes[0].notices], [[], "", []]);
  assert.equal(anew.panes[0].model, "a");
  assert.deepEqual([whole.panes[0].blocks, whole.panes[0].tail], [["<p>ab</p>"], ""]);
  for (const sheet of [anew, whole]) assert.notEqual(sheet.panes[0].edition, one.panes[0].edition);
});

test("messages of an older Run change nothing", () => {
  const second = receive(started, { ...opening, run: 2 });

  assert.equal(receive(second, events([{ number: 1, tail: "late" }])), second);
  assert.equal(receive(second, { ...opening, type: "snapshot", summary: "", running: true }), second);
});

test("a snapshot holds everything, so that text is not doubled", () => {
  const following = receive(started, events([{ number: 1, tail: "Hello" }]));
  const snapshot = { type: "snapshot", run: 1, running: false, summary: "3 answers", panes: [
    { number: 1, model: "a", blocks: ["<p>Hello</p>"], tail: "", state: "completed" },
  ] };

  const synced = receive(following, snapshot);

  assert.equal(synced.panes[0].blocks.join(), "<p>Hello</p>");
  assert.equal(synced.running, false);
  assert.equal(progress(synced), "3 answers");
});

test("panes are grouped by model in the order of their first answer", () => {
  const grid = columns(started.panes);

  assert.deepEqual(grid.map(({ model, panes }) => [model, panes.map((pane) => pane.number)]),
    [["a", [1, 2]], ["b", [3]]]);
});

test("the line over the answers counts what is going on", () => {
  const sheet = receive(started, events([
    { number: 1, state: "completed" }, { number: 3, state: "running" }]));

  assert.equal(progress(sheet), "3 calls · 1 done, 1 streaming, 1 waiting");
  assert.equal(progress({ ...sheet, summary: "$0.0016 so far, at most $0.0154" }),
    "3 calls · 1 done, 1 streaming, 1 waiting · $0.0016 so far, at most $0.0154");
});

test("arrows lead to the neighbours, Home and End to the ends", () => {
  const grid = columns(started.panes);
  const cases = [
    [1, "ArrowDown", 2], [2, "ArrowUp", 1], [1, "ArrowUp", 1], [2, "ArrowRight", 3],
    [3, "ArrowLeft", 1], [3, "ArrowRight", 3], [2, "Home", 1], [1, "End", 3], [9, "End", 9],
  ];
  for (const [from, key, to] of cases) assert.equal(neighbour(grid, from, key), to, `${from} ${key}`);
});

test("a screen reader hears sentences about answers, never tokens", () => {
  const streaming = receive(started, events([{ number: 1, tail: "Hel", state: "running" }]));
  const done = receive(streaming, events([
    { number: 1, state: "completed", notices: ["Cut off at 8 tokens."] },
    { number: 2, state: "cancelled" }, { number: 3, state: "failed", notices: ["No key."] },
  ], { running: false }));

  assert.equal(announcement(EMPTY_SHEET, started), "3 calls sent.");
  assert.equal(announcement(started, streaming), "");
  assert.equal(announcement(streaming, done),
    "Answer 1 is complete. Cut off at 8 tokens. Answer 2 was stopped. Answer 3 failed. No key. All done.");
});
