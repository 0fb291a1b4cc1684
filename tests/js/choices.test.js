import assert from "node:assert/strict";
import { test } from "node:test";
import {
  choiceOf, closest, grown, labelOf, markOf, matching, noMatch, offered, providerOf,
} from "../../llm_playground/widgets/view/choices.js";

const VENDORS = { openai: "OpenAI", anthropic: "Anthropic", local: "Local", ollama: "Ollama" };
const choice = (model, available, more = {}) => {
  const [provider, label] = model.split(":");
  const known = { vendor: VENDORS[provider], where: provider === "local" ? "in this kernel" : "" };
  return {
    model, label, provider, available, reason: available ? "" : "no key", price: "", context: "", badges: [],
    about: "", deprecated: false, ...known, ...more,
  };
};
const choices = [
  choice("local:smollm2", true), choice("anthropic:claude-haiku", true),
  choice("openai:gpt-6-luna", false, { badges: ["vision", "reasoning"] }), choice("openai:gpt-6-sol", false),
];
const names = (found) => found.map(({ label }) => label);
const listed = (groups) => groups.map((group) => [group.vendor, ...names(group.choices), ...(group.more ? [group.more] : [])]);

test("every word typed must match, in any order, by name, provider or what it can", () => {
  assert.deepEqual(names(matching(choices, "Luna GPT")), ["gpt-6-luna"]);
  assert.deepEqual(names(matching(choices, "openai")), ["gpt-6-luna", "gpt-6-sol"]);
  assert.deepEqual(names(matching(choices, "vision")), ["gpt-6-luna"]);
  assert.deepEqual(names(matching(choices, "kernel")), ["smollm2"]);
});

test("models stand by provider, usable ones first, in the kernel's order otherwise", () => {
  const found = [choice("openai:a", false), choice("anthropic:b", true), choice("openai:c", false)];

  assert.deepEqual(listed(offered(found, "")), [["Anthropic", "b"], ["OpenAI", "a", "c"]]);
});

test("a heading says that a provider is near or what is missing", () => {
  assert.deepEqual(offered(choices, "").map(({ note }) => note), ["in this kernel", "", "no key"]);
});

test("deprecated models are the last of their provider", () => {
  const found = [choice("openai:old", true, { deprecated: true }), choice("openai:new", true)];

  assert.deepEqual(listed(offered(found, "")), [["OpenAI", "new", "old"]]);
});

test("the first five of each provider are listed until something is typed", () => {
  const many = Array.from({ length: 60 }, (_, at) => choice(`openai:gpt-${at}`, true));

  assert.deepEqual(listed(offered([...many, choices[0]], ""))[0],
    ["OpenAI", "gpt-0", "gpt-1", "gpt-2", "gpt-3", "gpt-4", 55]);
  assert.deepEqual(listed(offered([...many, choices[0]], "gpt"))[0]?.at(-1), 10);
});

test("a chosen model stays in its place", () => {
  assert.ok(names(offered(choices, "").flatMap((group) => group.choices)).includes("gpt-6-sol"));
});

test("what is looked at stays in its place when more becomes known", () => {
  const shown = offered([choice("openai:a", false), choice("openai:b", true)], "");
  const found = [choice("ollama:new", true), choice("openai:b", true), choice("openai:a", true)];

  const now = grown(shown, offered(found, ""), found);

  assert.deepEqual(listed(now), [["OpenAI", "a", "b"], ["Ollama", "new"]]);
  assert.equal(now[0]?.choices[0]?.available, true);
});

test("a line that is offered no more stays until the picker is opened again", () => {
  assert.deepEqual(listed(grown(offered([choice("openai:gone", true)], ""), [], [])), [["OpenAI", "gone"]]);
});

test("when nothing matches, the closest are named", () => {
  assert.equal(noMatch(choices, "gpt6 lunar"), 'No model matches "gpt6 lunar". Closest: gpt-6-luna, gpt-6-sol.');
  assert.equal(noMatch(choices, "zzz"), 'No model matches "zzz".');
  assert.deepEqual(closest([], "x"), []);
});

test("local alone is the embedded model, a bare name the vendor's", () => {
  assert.equal(choiceOf(choices, "local")?.model, "local:smollm2");
  assert.equal(labelOf(choices, "local"), "smollm2");
  assert.equal(choiceOf(choices, "gpt-6-sol")?.model, "openai:gpt-6-sol");
  assert.equal(labelOf(choices, "other:x"), "other:x");
});

test("a model's provider is known where the model is not", () => {
  assert.equal(providerOf(choices, "groq:anything"), "groq");
  assert.equal(providerOf(choices, "gpt-6-sol"), "openai");
});

test("a provider's mark is two letters of its name", () => {
  assert.deepEqual(["OpenAI", "Anthropic", "LM Studio", "llama.cpp", "xAI"].map(markOf), ["OA", "An", "LM", "ll", "AI"]);
});
