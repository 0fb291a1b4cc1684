import assert from "node:assert/strict";
import { test } from "node:test";
import { choiceOf, closest, grown, labelOf, matching, noMatch } from "../../llm_playground/widgets/view/choices.js";

const choice = (model, available) => ({
  model, label: model.split(":")[1], available, reason: available ? "" : "set A_KEY", price: "",
});
const choices = [
  choice("openai:gpt-6-luna", false), choice("local:smollm2", true), choice("openai:gpt-6-sol", true),
  choice("anthropic:claude-haiku", false),
];
const names = (found) => found.map(({ label }) => label);

test("what can be used comes first", () => {
  assert.deepEqual(names(matching(choices, "", [])),
    ["smollm2", "gpt-6-sol", "gpt-6-luna", "claude-haiku"]);
});

test("every word typed must match, in any order", () => {
  assert.deepEqual(names(matching(choices, "Luna GPT", [])), ["gpt-6-luna"]);
  assert.deepEqual(names(matching(choices, "openai", [])), ["gpt-6-sol", "gpt-6-luna"]);
});

test("a chosen model is not offered again", () => {
  assert.deepEqual(names(matching(choices, "gpt", ["openai:gpt-6-sol"])), ["gpt-6-luna"]);
});

test("what is looked at stays in its place when more becomes known", () => {
  const shown = [choice("openai:a", false), choice("openai:b", true)];
  const found = [choice("ollama:new", true), choice("openai:b", true), choice("openai:a", true)];

  assert.deepEqual(names(grown(shown, found)), ["a", "b", "new"]);
  assert.equal(grown(shown, found)[0]?.available, true);
});

test("a line that is offered no more stays until the picker is opened again", () => {
  assert.deepEqual(names(grown([choice("openai:gone", true)], [])), ["gone"]);
});

test("when nothing matches, the closest are named", () => {
  assert.equal(noMatch(choices, "gpt6 lunar"), 'No model matches "gpt6 lunar". Closest: gpt-6-luna, gpt-6-sol.');
  assert.equal(noMatch(choices, "zzz"), 'No model matches "zzz".');
  assert.deepEqual(closest([], "x"), []);
});

test("local alone is the embedded model", () => {
  assert.equal(choiceOf(choices, "local")?.model, "local:smollm2");
  assert.equal(labelOf(choices, "local"), "smollm2");
  assert.equal(labelOf(choices, "other:x"), "other:x");
});
