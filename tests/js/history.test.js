import assert from "node:assert/strict";
import { test } from "node:test";
import { formatMoment } from "../../llm_playground/widget/view/history.js";

test("leaves out today's date and the current year", () => {
  const now = new Date(2026, 10, 23, 18, 0);
  assert.equal(formatMoment(new Date(2026, 10, 23, 17, 5).toISOString(), now, "en-GB"), "17:05");
  assert.equal(formatMoment(new Date(2026, 10, 21, 17, 52).toISOString(), now, "en-GB"), "21 Nov 17:52");
  assert.equal(formatMoment(new Date(2025, 1, 1, 9, 30).toISOString(), now, "en-GB"), "1 Feb 2025 09:30");
  assert.equal(formatMoment("nonsense", now), "");
});
