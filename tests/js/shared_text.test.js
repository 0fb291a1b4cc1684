import assert from "node:assert/strict";
import { test } from "node:test";
import { mergedText, mergedValue, movedPosition } from "../../llm_playground/widget/view/shared_text.js";

test("merges what was typed in two windows", () => {
  for (const [base, local, remote, merged] of [
    ["", "a", "", "a"],
    ["x", "x", "y", "y"],
    ["sea", "the sea", "sea!", "the sea!"],
    ["sea", "sea!", "the sea", "the sea!"],
    ["a b c", "a c", "a b c d", "a c d"],
    ["x", "xA", "xB", "xAB"],
    ["x", "xA", "xAB", "xAB"], // the other window has merged already
    ["x", "xB", "xAB", "xAB"],
    ["old", "new", "old!", "new!"],
    ["one two", "one", "two", ""],
  ]) {
    assert.equal(mergedText(base, local, remote), merged, JSON.stringify([base, local, remote]));
  }
});

test("keeps the later change of other values", () => {
  assert.equal(mergedValue(null, 0.5, 1), 0.5);
  assert.deepEqual(mergedValue(["a"], ["a", "b"], ["c"]), ["a", "b"]);
});

test("keeps the caret at its words", () => {
  for (const [before, after, position, moved] of /** @type {[string, string, number, number][]} */ ([
    ["sea", "the sea", 3, 7],
    ["sea", "sea!", 1, 1],
    ["sea", "sea!", 3, 3],
    ["the sea", "sea", 2, 0],
    ["abc", "", 2, 0],
  ])) {
    assert.equal(movedPosition(before, after, position), moved, JSON.stringify([before, after, position]));
  }
});
