import assert from "node:assert/strict";
import test from "node:test";

import {
  AWAY, BUSY, BUSY_BEFORE, GONE, draftWords, moment, savedLine, vitals, vitalsLine,
} from "../../llm_playground/widgets/view/survival.js";

const AT = new Date(2026, 10, 21, 17, 52).toISOString();

test("a moment is said as a day and a time of this place", () => {
  assert.equal(moment(AT), "21 Nov 17:52");
  assert.equal(moment("no time at all"), "another time");
});

test("the heading says what became of the draft", () => {
  assert.equal(draftWords({}).text, "");
  assert.deepEqual(draftWords({ state: "saved", at: AT }),
    { text: "draft saved", title: "Kept 21 Nov 17:52", action: "" });
  assert.deepEqual(draftWords({ state: "restored", at: AT }),
    { text: "draft of 21 Nov 17:52 restored", title: "", action: "Discard" });
  assert.deepEqual(draftWords({ state: "discarded", at: null }),
    { text: "draft discarded", title: "", action: "Undo" });
  assert.deepEqual(draftWords({ state: "not kept", at: null, why: "privacy stores no texts" }),
    { text: "draft not kept", title: "privacy stores no texts", action: "" });
});

test("saved answers say from when they are and that nothing is paid", () => {
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

test("a kernel that does not answer is busy, unless it is known to be idle or to have ended", () => {
  assert.equal(vitals("well", { answered: false }), "busy");
  assert.equal(vitals("well", { status: "busy", answered: false }), "busy");
  assert.equal(vitals("well", { status: "idle", answered: false }), "well");
  assert.equal(vitals("busy", { status: "busy", answered: true }), "well");
  assert.equal(vitals("well", { status: "busy" }), "well");
  assert.equal(vitals("well", { connection: "connecting" }), "away");
  for (const status of ["restarting", "autorestarting", "dead", "terminating"]) {
    assert.equal(vitals("well", { status }), "gone");
  }
  assert.equal(vitals("gone", { status: "idle" }), "gone", "another kernel does not know the panel");
});

test("each state has its sentence", () => {
  assert.equal(vitalsLine("well", true), "");
  assert.equal(vitalsLine("busy", true), BUSY);
  assert.equal(vitalsLine("busy", false), BUSY_BEFORE);
  assert.equal(vitalsLine("away", true), AWAY);
  assert.equal(vitalsLine("gone", false), GONE);
});
