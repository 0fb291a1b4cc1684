import assert from "node:assert/strict";
import { test } from "node:test";
import { amount, keepingLine, pressed, priceTag, runBar } from "../../llm_playground/widgets/view/price.js";

const tag = priceTag({ text: "6 calls · about $0.0054, at most $0.0232", calls: 6, one: "gpt-6 once · about $0.0009" });
const tight = priceTag({ text: "Fits 4 of 6 calls", tone: "red", button: "Run 4", calls: 6, fits: 4, override: true });
const question = {
  one: false, confirmed: "abc", button: "Run · up to $12.40", says: "Press again to send 2,000 calls",
  ready: true,
};

test("the line and the buttons are what the kernel says", () => {
  const bar = runBar(tag, null, "", false);

  assert.deepEqual([bar.line, bar.tone, bar.run.text, bar.run.off], [tag.text, "", "Run", false]);
  assert.equal(bar.one.title, "Ctrl+Shift+Enter · gpt-6 once · about $0.0009");
});

test("before the kernel's first word there is nothing but Run", () => {
  const bar = runBar(priceTag({}), null, "", false);

  assert.deepEqual([bar.line, bar.run.text, bar.setPrice, bar.override], ["", "Run", false, false]);
});

test("a form that cannot be sent has no price and says why", () => {
  const bar = runBar(priceTag({ problem: "{{a}} is not defined." }), question, "", false);

  assert.deepEqual([bar.line, bar.problem, bar.run.text], ["", "{{a}} is not defined.", "Run"]);
  assert.equal(runBar(tag, null, "iterations is 0.", false).problem, "iterations is 0.");
});

test("over a budget Run says how many it sends, and the press says it too", () => {
  const bar = runBar(tight, null, "", false);

  assert.deepEqual([bar.run.text, bar.tone, bar.override], ["Run 4", "red", true]);
  assert.equal(bar.run.title, "Ctrl+Enter · sends the first 4 calls that fit, of 6");
  assert.deepEqual(pressed(tight, null, false), { fits: 4 });
  assert.deepEqual(pressed(tight, null, true), { one: true });
});

test("where no call fits, Run is off", () => {
  assert.equal(runBar(priceTag({ fits: 0, calls: 6 }), null, "", false).run.off, true);
});

test("a question is on the button that was pressed, and its next press answers it", () => {
  const bar = runBar(tag, question, "", false);

  assert.deepEqual([bar.run.text, bar.one.text, bar.line], ["Run · up to $12.40", "Try one", question.says]);
  assert.deepEqual(pressed(tag, question, false), { confirmed: "abc" });
  assert.deepEqual(pressed(tag, question, true), { one: true }, "the other button was not asked");
  const about = { ...question, one: true, button: "Try one · up to $1.20" };
  assert.equal(runBar(tag, about, "", false).one.text, "Try one · up to $1.20");
  assert.deepEqual(pressed(tag, about, true), { one: true, confirmed: "abc" });
});

test("the second half of a double click is no answer", () => {
  const bar = runBar(tag, { ...question, ready: false }, "", false);

  assert.deepEqual([bar.run.text, bar.run.off, bar.one.off], ["Run · up to $12.40", true, false]);
});

test("nothing can be pressed while answers come", () => {
  const bar = runBar(tag, null, "", true);

  assert.deepEqual([bar.run.off, bar.one.off], [true, true]);
});

test("a price is set where none is known", () => {
  assert.equal(runBar(priceTag({ unpriced: ["mine:x"] }), null, "", false).setPrice, true);
  assert.equal(runBar(tag, null, "", false).setPrice, false);
});

test("an amount is dollars, with a point or a comma", () => {
  assert.deepEqual(["0.25", " $2 ", ".5", "0,25", "0"].map(amount), [0.25, 2, 0.5, 0.25, 0]);
  for (const typed of ["", "-1", "two", "1e3", "1.", "Infinity"]) assert.ok(Number.isNaN(amount(typed)), typed);
});

test("the line that keeps a price is ready to be pasted", () => {
  assert.equal(keepingLine("mine:x", "0,25", "2"),
    'lp.configure(prices={"mine:x": {\n    "input_usd_per_mtok": 0.25,\n    "output_usd_per_mtok": 2}})');
  assert.equal(keepingLine("mine:x", "", ""),
    'lp.configure(prices={"mine:x": {\n    "input_usd_per_mtok": ...,\n    "output_usd_per_mtok": ...}})');
});
