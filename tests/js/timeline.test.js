import assert from "node:assert/strict";
import { test } from "node:test";
import { saidMoment, spanMarks, tickMarks } from "../../llm_playground/widgets/view/timeline.js";

const TIMELINE = {
  spans: [
    { kind: "failed", from: 0, ms: 250, label: "" },
    { kind: "wait", from: 250, ms: 250, label: "" },
    { kind: "attempt", from: 500, ms: 500, label: "" },
  ],
  ticks: /** @type {[number, number][]} */ ([[600, 1], [800, 4]]), tick_ms: 10, total_ms: 1000,
};

test("spans stand where they were, one after the other", () => {
  assert.deepEqual(spanMarks(TIMELINE), [
    { left: 0, width: 0.25 }, { left: 0.25, width: 0.25 }, { left: 0.5, width: 0.5 },
  ]);
});

test("a span too short to be seen is seen, and stays within the strip", () => {
  const [mark] = spanMarks({ ...TIMELINE, spans: [{ kind: "attempt", from: 1000, ms: 0, label: "" }] }, 0.01);
  assert.deepEqual(mark, { left: 0.99, width: 0.01 });
});

test("the more deltas came at a time, the higher their bar", () => {
  assert.deepEqual(tickMarks(TIMELINE), [
    { left: 0.6, width: 0.01, height: 0.5 }, { left: 0.8, width: 0.01, height: 1 },
  ]);
});

test("nothing that took no time leaves the strip", () => {
  const nothing = { spans: [{ kind: "attempt", from: 0, ms: 0, label: "" }], ticks: [], tick_ms: 0, total_ms: 0 };
  assert.deepEqual(spanMarks(nothing), [{ left: 0, width: 1 }]);
  assert.deepEqual(tickMarks(nothing), []);
});

test("a moment is said as shortly as it stays clear", () => {
  const now = new Date(2026, 10, 23, 18, 0);
  assert.equal(saidMoment(new Date(2026, 10, 23, 17, 5).toISOString(), now, "en-GB"), "17:05");
  assert.equal(saidMoment(new Date(2026, 10, 21, 17, 52).toISOString(), now, "en-GB"), "21 Nov 17:52");
  assert.equal(saidMoment(new Date(2025, 1, 1, 9, 30).toISOString(), now, "en-GB"), "1 Feb 2025 09:30");
  assert.equal(saidMoment("nonsense", now), "");
});
