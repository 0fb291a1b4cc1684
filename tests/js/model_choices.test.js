import assert from "node:assert/strict";
import { test } from "node:test";
import {
  closestLabels, extendListing, findChoice, groupedChoices, labelOf, lineAgain, lineFor, linesOf, listingOf, markOf,
  matchingChoices, noMatchMessage, providerOf,
} from "../../llm_playground/widget/view/model_choices.js";

const VENDORS = { openai: "OpenAI", anthropic: "Anthropic", local: "Local", ollama: "Ollama" };
const choice = (model, available, more = {}) => {
  const [provider, label] = model.split(":");
  const known = { vendor: VENDORS[provider], where: provider === "local" ? "in this kernel" : "" };
  return {
    model, label, provider, available, reason: available ? "" : "no key", price: "", context: "", badges: [],
    about: "", deprecated: false, ends: "", ...known, ...more,
  };
};
const choices = [
  choice("local:smollm2", true), choice("anthropic:claude-haiku", true),
  choice("openai:gpt-6-luna", false, { badges: ["vision", "reasoning"] }), choice("openai:gpt-6-sol", false),
];
const names = (found) => found.map(({ label }) => label);
const listed = (groups) => groups.map((group) => [group.vendor, ...names(group.choices), ...(group.more ? [group.more] : [])]);

test("matches all words in any order", () => {
  assert.deepEqual(names(matchingChoices(choices, "Luna GPT")), ["gpt-6-luna"]);
  assert.deepEqual(names(matchingChoices(choices, "openai")), ["gpt-6-luna", "gpt-6-sol"]);
  assert.deepEqual(names(matchingChoices(choices, "vision")), ["gpt-6-luna"]);
  assert.deepEqual(names(matchingChoices(choices, "kernel")), ["smollm2"]);
});

test("groups by provider, available providers first", () => {
  const found = [choice("openai:a", false), choice("anthropic:b", true), choice("openai:c", false)];

  assert.deepEqual(listed(groupedChoices(found, "")), [["Anthropic", "b"], ["OpenAI", "a", "c"]]);
});

test("notes local and unavailable providers", () => {
  assert.deepEqual(groupedChoices(choices, "").map(({ note }) => note), ["in this kernel", "", "no key"]);
});

test("lists deprecated models last", () => {
  const found = [choice("openai:old", true, { deprecated: true }), choice("openai:new", true)];

  assert.deepEqual(listed(groupedChoices(found, "")), [["OpenAI", "new", "old"]]);
});

test("lists the model of the typed name first", () => {
  const found = ["openai:gpt-4o-2026-11-20", "azure:my-gpt-4o", "openai:gpt-4o-mini", "openai:gpt-4o"].map((name) => choice(name, true));
  for (const typed of ["gpt-4o", " GPT-4o ", "openai:gpt-4o"]) {
    assert.equal(groupedChoices(found, typed).find(({ provider }) => provider === "openai")?.choices[0]?.model, "openai:gpt-4o");
  }
  assert.equal(groupedChoices([...found].reverse(), "my-gpt-4o")[0]?.provider, "azure");
  assert.equal(groupedChoices([choice("azure:my-gpt-4o", true), ...found], "gpt-4o")[0]?.provider, "openai");
});

test("lists five models per provider until something is typed", () => {
  const many = Array.from({ length: 60 }, (_, at) => choice(`openai:gpt-${at}`, true));

  assert.deepEqual(listed(groupedChoices([...many, choices[0]], ""))[0],
    ["OpenAI", "gpt-0", "gpt-1", "gpt-2", "gpt-3", "gpt-4", 55]);
  assert.deepEqual(listed(groupedChoices([...many, choices[0]], "gpt"))[0]?.at(-1), 10);
});

test("keeps selected models listed", () => {
  assert.ok(names(groupedChoices(choices, "").flatMap((group) => group.choices)).includes("gpt-6-sol"));
});

const PROVIDERS = {
  openai: { vendor: "OpenAI", note: "" }, anthropic: { vendor: "Anthropic", note: "" }, local: { vendor: "Local", note: "" },
  ollama: { vendor: "Ollama", note: "no server answers" }, deepseek: { vendor: "DeepSeek", note: "" },
  together: { vendor: "Together AI", note: "" },
};
const UNUSABLE = { deepseek: { wants_key: true }, openai: { wants_key: true } };
const listingFor = (typed) => listingOf(choices, PROVIDERS, UNUSABLE, typed);

test("keeps every line in its place when more are found", () => {
  const listing = (found) => listingOf(found, PROVIDERS, UNUSABLE, "");
  const before = [choice("openai:a", false), choice("openai:gone", true)];
  const shown = listing(before);
  const found = [choice("ollama:new", true), choice("openai:a", true)];

  const now = extendListing(shown, listing(found), found);

  assert.deepEqual(listed(now.groups), [["OpenAI", "a", "gone"]]);
  assert.equal(now.groups[0]?.choices[0]?.available, true);
  assert.deepEqual(now.offers.map(({ vendor, note }) => [vendor, note]), [
    ["Anthropic", ""], ["DeepSeek", "no key"], ["Local", ""], ["Ollama", ""], ["Together AI", ""]]);
  assert.deepEqual(listed(now.late), [["Ollama", "new"]]);
  for (const [at, line] of linesOf(shown).entries()) assert.equal(lineAgain(now, line, ""), at);
  const further = [...found, choice("local:later", true)];
  assert.deepEqual(listed(extendListing(now, listing(further), further).late), [["Ollama", "new"], ["Local", "later"]]);
  assert.deepEqual(extendListing(listing([]), listing(found), found), listing(found), "a list without models");
  assert.equal(lineAgain(listing(found), { provider: "gone", model: "" }, "a"), 1, "what Enter takes");
  assert.equal(lineAgain(listing(found), undefined, ""), -1);
});

test("says one line when nothing matches", () => {
  const messages = {
    "gpt6 lunar": 'No model matches "gpt6 lunar". Closest: gpt-6-luna, gpt-6-sol.',
    zzz: 'No model matches "zzz". Write a name that is not listed as provider:name.',
    "depseek:chat": 'No provider is called "depseek". Closest: deepseek:chat.',
    "deepseek:": 'Type the name of a model after "deepseek:".',
  };
  for (const [typed, message] of Object.entries(messages)) assert.equal(noMatchMessage(choices, PROVIDERS, typed), message);
  assert.deepEqual(closestLabels([], "x"), []);
});

test("offers every provider without listed models, by name", () => {
  const offers = ({ offers }) => offers.map(({ vendor, note, wantsKey }) => [vendor, note, wantsKey]);

  assert.deepEqual(offers(listingFor("")), [
    ["DeepSeek", "no key", true], ["Ollama", "no server answers", false], ["Together AI", "", false]]);
  for (const typed of ["deep", "DeepSeek", "deepseek:", "seek"]) assert.deepEqual(offers(listingFor(typed)), [["DeepSeek", "no key", true]]);
  assert.deepEqual(offers(listingFor("deepseek:chat")), []);
});

test("takes the name as typed of a known provider only", () => {
  const taken = (typed) => {
    const listing = listingFor(typed);
    return linesOf(listing)[lineFor(listing, typed)]?.model;
  };

  assert.equal(taken("openai:gpt-6"), "openai:gpt-6", "as typed, before models whose names contain it");
  assert.equal(taken(" deepseek : chat "), "deepseek:chat");
  assert.equal(taken("ollama:llama3:8b"), "ollama:llama3:8b");
  assert.equal(taken("openai:gpt-6-sol"), "openai:gpt-6-sol");
  assert.equal(taken("gpt-6-sol"), "openai:gpt-6-sol", "the exact name, also below another line");
  assert.equal(taken("gpt"), "openai:gpt-6-luna");
  assert.equal(taken("local"), "local:smollm2");
  assert.equal(taken("deepseek"), "", "a provider, of which a name is typed next");
  for (const typed of ["gpt7", "constructor:x", "nope:x", "zzz"]) assert.equal(taken(typed), undefined, typed);
});

test("resolves local and bare names", () => {
  assert.equal(findChoice(choices, "local")?.model, "local:smollm2");
  assert.equal(labelOf(choices, "local"), "smollm2");
  assert.equal(findChoice(choices, "gpt-6-sol")?.model, "openai:gpt-6-sol");
  assert.equal(labelOf(choices, "other:x"), "other:x");
});

test("finds the provider of unlisted models", () => {
  assert.equal(providerOf(choices, "groq:anything"), "groq");
  assert.equal(providerOf(choices, "gpt-6-sol"), "openai");
});

test("abbreviates providers to two letters", () => {
  assert.deepEqual(["OpenAI", "Anthropic", "LM Studio", "llama.cpp", "xAI"].map(markOf), ["OA", "An", "LM", "ll", "AI"]);
});
