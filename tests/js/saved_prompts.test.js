import assert from "node:assert/strict";
import { test } from "node:test";
import { promptRows, versionLine } from "../../llm_playground/widget/view/saved_prompts.js";

const version = (number, more = {}) => ({
  version: number, note: "", by: "ada", at: "2026-11-21T10:12:00Z", model: "openai:gpt-4o", text: "Summarise", ...more,
});
const PROMPTS = [
  { name: "invoice", versions: [version(3, { note: "shorter" }), version(2), version(1)] },
  { name: "greeting", versions: [version(1, { text: "Say hello" })] },
];
const rows = (unfolded, typed) => promptRows(PROMPTS, new Set(unfolded), typed)
  .map(({ name, version: { version: number }, earlier }) => [name, number, earlier]);

test("lists the newest versions, and all of an unfolded prompt", () => {
  assert.deepEqual(rows([], ""), [["invoice", 3, 2], ["greeting", 1, 0]]);
  assert.deepEqual(rows(["invoice"], ""), [["invoice", 3, 2], ["invoice", 2, 0], ["invoice", 1, 0], ["greeting", 1, 0]]);
});

test("finds prompts by all typed words in name, note, author, model and text", () => {
  assert.deepEqual(rows([], "hello ada"), [["greeting", 1, 0]]);
  assert.deepEqual(rows([], "SHORTER"), [["invoice", 3, 2]]);
  assert.deepEqual(rows([], "hello shorter"), []);
});

test("describes a version in one line", () => {
  const line = versionLine(version(3, { note: "shorter" }), new Date("2027-01-01T00:00:00Z"), "en-GB");

  assert.match(line, /^version 3 · 21 Nov 2026 \d\d:\d\d · ada · shorter$/);
});
