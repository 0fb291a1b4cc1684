import assert from "node:assert/strict";
import { test } from "node:test";
import { sourceText, tableSummary } from "../../llm_playground/widget/view/variables.js";

test("describes the source and size of a value", () => {
  assert.equal(sourceText({ detail: "412 tokens" }), "notebook · 412 tokens");
  assert.equal(sourceText({ detail: "" }), "notebook");
});

test("summarizes a table in one line", () => {
  assert.equal(tableSummary({ label: "df", rows: 1200, columns: ["text", "n"] }), "df · 1,200 rows · text, n");
  assert.equal(tableSummary({ label: "df", rows: 1, columns: [..."abcdefg"] }), "df · 1 row · a, b, c, d, e, 2 more");
});
