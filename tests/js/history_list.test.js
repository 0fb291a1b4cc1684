import assert from "node:assert/strict";
import { test } from "node:test";
import {
  aboutLine, differsLine, formatMoment, historyItems, isFailure, modelsLine, statusLine,
} from "../../llm_playground/widget/view/history_list.js";

const RUN = {
  run_id: "1", started_at: new Date(2026, 10, 23, 14, 2).toISOString(), key: "k", source: "widget", prompt: "Hi",
  models: { "openai:gpt-6-luna": 2, "anthropic:claude-haiku-5-5": 2, local: 2 }, answer: "Ho", cost: "$0.0012",
  statuses: { completed: 5, failed: 1 }, compressed: false, differs: null,
};
const ANSWER = {
  run_id: "2", model: "openai:gpt-6-luna", status: "failed", prompt: "", answer: "No key.", cost: "",
};

test("leaves out today's date and the current year", () => {
  const now = new Date(2026, 10, 23, 18, 0);
  assert.equal(formatMoment(new Date(2026, 10, 23, 17, 5).toISOString(), now, "en-GB"), "17:05");
  assert.equal(formatMoment(new Date(2026, 10, 21, 17, 52).toISOString(), now, "en-GB"), "21 Nov 17:52");
  assert.equal(formatMoment(new Date(2025, 1, 1, 9, 30).toISOString(), now, "en-GB"), "1 Feb 2025 09:30");
  assert.equal(formatMoment("nonsense", now), "");
});

test("says of a Run its models, cost, time and what did not end as usual", () => {
  const now = new Date(2026, 10, 23, 18, 0);
  assert.equal(aboutLine({ run: RUN, answer: null }, now, "en-GB"),
    "3 models × 2 · $0.0012 · 14:02 · 1 of 6 failed");
  assert.equal(aboutLine({ run: { ...RUN, source: "magic", cost: "" }, answer: null }, now, "en-GB"),
    "3 models × 2 · 14:02 · %%llm · 1 of 6 failed");
  assert.equal(aboutLine({ run: RUN, answer: ANSWER }, now, "en-GB"), "gpt-6-luna · failed");
});

for (const [models, line] of /** @type {[Record<string, number>, string][]} */ ([
  [{ "openai:gpt-6-luna": 1 }, "gpt-6-luna"], [{ "llama.cpp:qwen3:8b": 1 }, "qwen3:8b"], [{ "openai:gpt-6-luna": 3 }, "gpt-6-luna × 3"],
  [{ a: 1, b: 1 }, "2 models"], [{ a: 1000, b: 1000 }, "2 models × 1,000"], [{ a: 3, b: 2 }, "2 models, 5 answers"],
])) {
  test(`names the models: ${line}`, () => assert.equal(modelsLine(models), line));
}

for (const [statuses, line] of /** @type {[Record<string, number>, string][]} */ ([
  [{ completed: 2 }, ""], [{ cancelled: 2 }, "stopped"], [{ interrupted: 1, completed: 1 }, "1 of 2 interrupted"],
  [{ over_budget: 2, running: 1 }, "2 of 3 not sent, 1 of 3 running"],
])) {
  test(`says how they ended: ${line || "as usual"}`, () => assert.equal(statusLine(statuses), line));
}

test("unfolds a Run to its answers", () => {
  const other = { ...RUN, run_id: "9" };
  const items = historyItems([RUN, other], new Map([["1", [ANSWER, ANSWER]]]));
  assert.deepEqual(items.map(({ run, answer }) => [run.run_id, answer?.run_id ?? ""]),
    [["1", ""], ["1", "2"], ["1", "2"], ["9", ""]]);
  assert.deepEqual(items.map(isFailure), [false, true, true, false]);
});

test("says what differs, that nothing does, or nothing if it is not known", () => {
  assert.equal(differsLine({ line: "seed 1 → 2", in_full: "seed 1 → 2" }, "same"), "differs: seed 1 → 2");
  assert.equal(differsLine({ line: "", in_full: "" }, "same"), "same");
  assert.equal(differsLine(null, "same"), "");
});
