import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAmount, configureLine, runArguments, pricePreview, runBarState } from "../../llm_playground/widget/view/price.js";

const tag = pricePreview({ text: "6 calls · about $0.0054, at most $0.0232", calls: 6, one: "gpt-6 once · about $0.0009" });
const tight = pricePreview({ text: "Fits 4 of 6 calls", tone: "red", button: "Run 4", calls: 6, fits: 4, override: true });
const question = {
  one: false, confirmed: "abc", button: "Run · up to $12.40", message: "Press again to send 2,000 calls",
  ready: true,
};

test("shows the kernel's line and buttons", () => {
  const bar = runBarState(tag, null, "", false);

  assert.deepEqual([bar.line, bar.tone, bar.run.text, bar.run.off], [tag.text, "", "Run", false]);
  assert.equal(bar.one.title, "Ctrl+Shift+Enter · gpt-6 once · about $0.0009");
});

test("shows only Run before the first preview", () => {
  const bar = runBarState(pricePreview({}), null, "", false);

  assert.deepEqual([bar.line, bar.run.text, bar.setPrice, bar.override], ["", "Run", false, false]);
});

test("shows the problem instead of the price", () => {
  const bar = runBarState(pricePreview({ problem: "{{a}} is not defined." }), question, "", false);

  assert.deepEqual([bar.line, bar.problem, bar.run.text], ["", "{{a}} is not defined.", "Run"]);
  assert.equal(runBarState(tag, null, "iterations is 0.", false).problem, "iterations is 0.");
});

test("limits Run to the calls that fit the budget", () => {
  const bar = runBarState(tight, null, "", false);

  assert.deepEqual([bar.run.text, bar.tone, bar.override], ["Run 4", "red", true]);
  assert.equal(bar.run.title, "Ctrl+Enter · sends the first 4 calls that fit, of 6");
  assert.deepEqual(runArguments(tight, null, false), { fits: 4 });
  assert.deepEqual(runArguments(tight, null, true), { one: true });
});

test("turns Run off when no call fits", () => {
  assert.equal(runBarState(pricePreview({ fits: 0, calls: 6 }), null, "", false).run.off, true);
});

test("asks for confirmation on the pressed button", () => {
  const bar = runBarState(tag, question, "", false);

  assert.deepEqual([bar.run.text, bar.one.text, bar.line], ["Run · up to $12.40", "Try one", question.message]);
  assert.deepEqual(runArguments(tag, question, false), { confirmed: "abc" });
  assert.deepEqual(runArguments(tag, question, true), { one: true }, "the other button was not asked");
  const about = { ...question, one: true, button: "Try one · up to $1.20" };
  assert.equal(runBarState(tag, about, "", false).one.text, "Try one · up to $1.20");
  assert.deepEqual(runArguments(tag, about, true), { one: true, confirmed: "abc" });
});

test("ignores the second half of a double click", () => {
  const bar = runBarState(tag, { ...question, ready: false }, "", false);

  assert.deepEqual([bar.run.text, bar.run.off, bar.one.off], ["Run · up to $12.40", true, false]);
});

test("turns both buttons off while running", () => {
  const bar = runBarState(tag, null, "", true);

  assert.deepEqual([bar.run.off, bar.one.off], [true, true]);
});

test("offers to set an unknown price", () => {
  assert.equal(runBarState(pricePreview({ unpriced: ["mine:x"] }), null, "", false).setPrice, true);
  assert.equal(runBarState(tag, null, "", false).setPrice, false);
});

test("parses amounts with a point or a comma", () => {
  assert.deepEqual(["0.25", " $2 ", ".5", "0,25", "0"].map(parseAmount), [0.25, 2, 0.5, 0.25, 0]);
  for (const typed of ["", "-1", "two", "1e3", "1.", "Infinity"]) assert.ok(Number.isNaN(parseAmount(typed)), typed);
});

test("writes the configure line", () => {
  assert.equal(configureLine("mine:x", "0,25", "2"),
    'lp.configure(prices={"mine:x": {\n    "input_usd_per_mtok": 0.25,\n    "output_usd_per_mtok": 2}})');
  assert.equal(configureLine("mine:x", "", ""),
    'lp.configure(prices={"mine:x": {\n    "input_usd_per_mtok": ...,\n    "output_usd_per_mtok": ...}})');
});
