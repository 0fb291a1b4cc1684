import assert from "node:assert/strict";
import { test } from "node:test";
import { draftStatus, formatDate, savedLine } from "../../llm_playground/widget/view/restore.js";

const AT = new Date(2026, 10, 21, 17, 52).toISOString();

test("formats a date and time", () => {
  assert.equal(formatDate(AT), "21 Nov 17:52");
  assert.equal(formatDate("no time at all"), "an unknown time");
});

test("describes the draft's state", () => {
  assert.equal(draftStatus({}).text, "");
  assert.deepEqual(draftStatus({ state: "saved", at: AT }),
    { text: "draft saved", title: "Saved 21 Nov 17:52", action: "" });
  assert.deepEqual(draftStatus({ state: "restored", at: AT }),
    { text: "draft of 21 Nov 17:52 restored", title: "", action: "Discard" });
  assert.deepEqual(draftStatus({ state: "discarded", at: null }),
    { text: "draft discarded", title: "", action: "Undo" });
  assert.deepEqual(draftStatus({ state: "not kept", at: null, why: "privacy stores no texts" }),
    { text: "draft not kept", title: "privacy stores no texts", action: "" });
});

test("describes saved answers", () => {
  const line = (/** @type {object} */ saved) => savedLine(saved).text;
  assert.equal(line({}), "");
  assert.equal(line({ count: 6, wanted: 6, at: AT, where: "log" }),
    "6 saved answers from 21 Nov 17:52 · nothing paid");
  assert.equal(line({ count: 1, wanted: 1, at: AT, where: "kernel" }),
    "1 saved answer from 21 Nov 17:52 · nothing paid");
  assert.equal(line({ count: 2, wanted: 6, at: null, where: "log" }), "2 of 6 saved answers · nothing paid");
  assert.deepEqual(savedLine({ count: 2, wanted: 2, at: AT, where: "notebook" }),
    { text: "2 saved answers from 21 Nov 17:52 · in this notebook, not in your log", canImport: true });
});
