import assert from "node:assert/strict";
import { test } from "node:test";
import { spanMarks, tickMarks } from "../../llm_playground/widget/view/inspector.js";

const TIMELINE = {
  spans: [
    { kind: "failed", from: 0, ms: 250, label: "" },
    { kind: "wait", from: 250, ms: 250, label: "" },
    { kind: "attempt", from: 500, ms: 500, label: "" },
  ],
  ticks: /** @type {[number, number][]} */ ([[600, 1], [800, 4]]), tick_ms: 10, total_ms: 1000,
};

test("places spans in sequence", () => {
  assert.deepEqual(spanMarks(TIMELINE), [
    { left: 0, width: 0.25 }, { left: 0.25, width: 0.25 }, { left: 0.5, width: 0.5 },
  ]);
});

test("keeps very short spans visible and inside the timeline", () => {
  const [mark] = spanMarks({ ...TIMELINE, spans: [{ kind: "attempt", from: 1000, ms: 0, label: "" }] }, 0.01);
  assert.deepEqual(mark, { left: 0.99, width: 0.01 });
});

test("draws higher bars for more deltas", () => {
  assert.deepEqual(tickMarks(TIMELINE), [
    { left: 0.6, width: 0.01, height: 0.5 }, { left: 0.8, width: 0.01, height: 1 },
  ]);
});

test("handles a timeline of zero length", () => {
  const nothing = { spans: [{ kind: "attempt", from: 0, ms: 0, label: "" }], ticks: [], tick_ms: 0, total_ms: 0 };
  assert.deepEqual(spanMarks(nothing), [{ left: 0, width: 1 }]);
  assert.deepEqual(tickMarks(nothing), []);
});
