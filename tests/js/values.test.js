import assert from "node:assert/strict";
import { test } from "node:test";
import { briefly, isSweep, textsText, typedTexts, typedValue, valueText } from "../../llm_playground/widgets/view/values.js";

test("a number is a number, however it is written", () => {
  for (const [typed, value] of [
    ["0.5", 0.5], [" 0,5 ", 0.5], ["1,024", 1024], ["-2", -2], [".5", 0.5], ["1e3", 1000], ["", null], ["  ", null],
  ]) assert.deepEqual(typedValue(typed), value, typed);
});

test("what is no number is kept as typed", () => {
  assert.equal(typedValue("hot"), "hot");
  assert.equal(typedValue("0..hot"), "0..hot");
});

test("digits that would become another number stay text", () => {
  assert.equal(typedValue("9007199254740993"), "9007199254740993");
  assert.equal(typedValue("9007199254740991"), 9007199254740991);
});

test("a list of values is a sweep", () => {
  for (const [typed, values] of [
    ["0, 0.5, 1", [0, 0.5, 1]], ["0,0.5,1", [0, 0.5, 1]], ["0; 0,5; 1", [0, 0.5, 1]], ["[0, 1]", [0, 1]],
    ["1,024, 2,048", [1024, 2048]], ["0, hot", [0, "hot"]], ["1, 1, 2", [1, 2]],
  ]) assert.deepEqual(typedValue(typed), values, typed);
});

test("a list of one is that value", () => {
  assert.equal(typedValue("0.5,"), 0.5);
  assert.equal(typedValue("1, 1"), 1);
});

test("a range is the list of its values, exact in decimals", () => {
  for (const [typed, values] of [
    ["0..1 step 0.25", [0, 0.25, 0.5, 0.75, 1]], ["0:1:0.5", [0, 0.5, 1]], ["0 to 0.3 by 0.1", [0, 0.1, 0.2, 0.3]],
    ["1..0 step 0.5", [1, 0.5, 0]], ["-2..2 step 2", [-2, 0, 2]], ["0..1", [0, 0.25, 0.5, 0.75, 1]], ["1…1", [1]],
  ]) assert.deepEqual(typedValue(typed), values, typed);
  assert.deepEqual(typedValue("1..4", true), [1, 2, 3, 4]);
});

test("a range ends at one value more than the kernel takes", () => {
  assert.equal(typedValue("0..1 step 0.0001").length, 51);
  assert.equal(typedValue("1..1000000000000", true).length, 51);
});

test("a range without a way to go is kept as typed", () => {
  assert.equal(typedValue("0..1 step 0"), "0..1 step 0");
});

test("stop takes texts between commas, quoted where they hold one", () => {
  for (const [typed, texts] of [
    ["END", ["END"]], ["END, ###", ["END", "###"]], ['"a, b", "\\n"', ["a, b", "\n"]], ["", null], [" , ", null],
    ['"open', ['"open']], ["two words, END", ["two words", "END"]],
  ]) assert.deepEqual(typedTexts(typed), texts, typed);
});

test("texts are shown as they can be typed again", () => {
  for (const texts of [["END"], ["a, b", "\n"], [" x"], ['say "hi"'], ["\\"]]) {
    assert.deepEqual(typedTexts(textsText(texts)), texts, textsText(texts));
  }
  assert.equal(textsText("END"), "END");
  assert.equal(textsText(null), "");
});

test("values are shown as they can be typed again", () => {
  for (const value of [0.5, 1024, [0, 0.5, 1], [1024, 2048], -2]) {
    assert.deepEqual(typedValue(valueText(value)), value);
  }
  assert.equal(valueText(null), "");
});

test("many values are counted", () => {
  assert.equal(briefly([0, 0.5, 1]), "3 values");
  assert.equal(briefly(typedValue("0..1 step 0.001")), "over 50 values");
  assert.equal(briefly(0.5), "0.5");
});

test("one value of stop is a list, several are a list of lists", () => {
  assert.equal(isSweep(["END"], true), false);
  assert.equal(isSweep([["END"], ["."]], true), true);
  assert.equal(isSweep([0, 1]), true);
  assert.equal(isSweep(0.5), false);
});
