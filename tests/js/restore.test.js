import assert from "node:assert/strict";
import { test } from "node:test";
import { draftStatus, savedLine } from "../../llm_playground/widget/view/restore.js";

const AT = new Date(2026, 10, 21, 17, 52).toISOString();
const NOW = new Date(2026, 10, 23, 20, 0);

test("describes the draft's state", () => {
  const status = (/** @type {import("../../llm_playground/widget/view/restore.js").DraftState} */ draft) => (
    draftStatus(draft, NOW, "en-GB"));
  assert.equal(status({}).text, "");
  assert.deepEqual(status({ state: "saved", at: AT }),
    { text: "draft saved", title: "Saved 21 Nov 17:52", action: "" });
  assert.deepEqual(status({ state: "restored", at: AT }),
    { text: "draft of 21 Nov 17:52 restored", title: "", action: "Discard" });
  assert.equal(status({ state: "restored", at: "no time at all" }).text, "draft restored");
  assert.deepEqual(status({ state: "discarded", at: null }),
    { text: "draft discarded", title: "", action: "Undo" });
  assert.deepEqual(status({ state: "not kept", at: null, why: "privacy stores no texts" }),
    { text: "draft not kept", title: "privacy stores no texts", action: "" });
});

test("describes saved answers", () => {
  const line = (/** @type {object} */ saved) => savedLine(saved, NOW, "en-GB").text;
  assert.equal(line({}), "");
  assert.equal(line({ count: 6, wanted: 6, at: AT, where: "log" }),
    "6 saved answers from 21 Nov 17:52 · nothing paid");
  assert.equal(line({ count: 1, wanted: 1, at: AT, where: "kernel" }),
    "1 saved answer from 21 Nov 17:52 · nothing paid");
  assert.equal(line({ count: 2, wanted: 6, at: null, where: "log" }), "2 of 6 saved answers · nothing paid");
  assert.deepEqual(savedLine({ count: 2, wanted: 2, at: AT, where: "notebook" }, NOW, "en-GB"),
    { text: "2 saved answers from 21 Nov 17:52 · in this notebook, not in your log", canImport: true });
});
