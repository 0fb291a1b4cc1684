import assert from "node:assert/strict";
import { test } from "node:test";
import { summarizeValue, isSweep, formatTexts, parseTexts, parseValue, sweepTicks, formatValue } from "../../llm_playground/widget/view/parameter_values.js";

test("parses numbers in all notations", () => {
  for (const [typed, value] of [
    ["0.5", 0.5], [" 0,5 ", 0.5], ["1,024", 1024], ["-2", -2], [".5", 0.5], ["1e3", 1000], ["", null], ["  ", null],
  ]) assert.deepEqual(parseValue(typed), value, typed);
});

test("keeps other text as typed", () => {
  assert.equal(parseValue("hot"), "hot");
  assert.equal(parseValue("0..hot"), "0..hot");
});

test("keeps unsafe integers as text", () => {
  assert.equal(parseValue("9007199254740993"), "9007199254740993");
  assert.equal(parseValue("9007199254740991"), 9007199254740991);
});

test("parses lists", () => {
  for (const [typed, values] of [
    ["0, 0.5, 1", [0, 0.5, 1]], ["0,0.5,1", [0, 0.5, 1]], ["0; 0,5; 1", [0, 0.5, 1]], ["[0, 1]", [0, 1]],
    ["1,024, 2,048", [1024, 2048]], ["0, hot", [0, "hot"]], ["1, 1, 2", [1, 2]],
  ]) assert.deepEqual(parseValue(typed), values, typed);
});

test("reduces a list of one to its value", () => {
  assert.equal(parseValue("0.5,"), 0.5);
  assert.equal(parseValue("1, 1"), 1);
});

test("parses ranges with exact decimals", () => {
  for (const [typed, values] of [
    ["0..1 step 0.25", [0, 0.25, 0.5, 0.75, 1]], ["0:1:0.5", [0, 0.5, 1]], ["0 to 0.3 by 0.1", [0, 0.1, 0.2, 0.3]],
    ["1..0 step 0.5", [1, 0.5, 0]], ["-2..2 step 2", [-2, 0, 2]], ["0..1", [0, 0.25, 0.5, 0.75, 1]], ["1…1", [1]],
  ]) assert.deepEqual(parseValue(typed), values, typed);
  assert.deepEqual(parseValue("1..4", true), [1, 2, 3, 4]);
});

test("limits ranges to one value more than the kernel accepts", () => {
  assert.equal(parseValue("0..1 step 0.0001").length, 51);
  assert.equal(parseValue("1..1000000000000", true).length, 51);
});

test("keeps ranges with a zero step as typed", () => {
  assert.equal(parseValue("0..1 step 0"), "0..1 step 0");
});

test("parses comma-separated and quoted texts", () => {
  for (const [typed, texts] of [
    ["END", ["END"]], ["END, ###", ["END", "###"]], ['"a, b", "\\n"', ["a, b", "\n"]], ["", null], [" , ", null],
    ['"open', ['"open']], ["two words, END", ["two words", "END"]],
  ]) assert.deepEqual(parseTexts(typed), texts, typed);
});

test("formats texts so that they parse again", () => {
  for (const texts of [["END"], ["a, b", "\n"], [" x"], ['say "hi"'], ["\\"]]) {
    assert.deepEqual(parseTexts(formatTexts(texts)), texts, formatTexts(texts));
  }
  assert.equal(formatTexts("END"), "END");
  assert.equal(formatTexts(null), "");
});

test("formats values so that they parse again", () => {
  for (const value of [0.5, 1024, [0, 0.5, 1], [1024, 2048], -2]) {
    assert.deepEqual(parseValue(formatValue(value)), value);
  }
  assert.equal(formatValue(null), "");
});

test("summarizes lists by their length", () => {
  assert.equal(summarizeValue([0, 0.5, 1]), "3 values");
  assert.equal(summarizeValue(parseValue("0..1 step 0.001")), "over 50 values");
  assert.equal(summarizeValue(0.5), "0.5");
});

test("distinguishes lists of texts from sweeps", () => {
  assert.equal(isSweep(["END"], true), false);
  assert.equal(isSweep([["END"], ["."]], true), true);
  assert.equal(isSweep([0, 1]), true);
  assert.equal(isSweep(0.5), false);
});

test("marks the swept values on the track", () => {
  const left = (background) => [...background.matchAll(/\* ([\d.]+)\) 50%/g)].map(([, part]) => Number(part));

  assert.deepEqual(left(sweepTicks([0, 0.5, 2, "x", 9], { min: 0, max: 2 })), [0, 0.25, 1]);
  assert.equal(sweepTicks(["x"], { min: 0, max: 2 }), "none");
});
