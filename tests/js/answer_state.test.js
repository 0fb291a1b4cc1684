import assert from "node:assert/strict";
import { test } from "node:test";
import {
  NO_ANSWERS, announcement, hiddenAnswers, progress, applyMessage,
} from "../../llm_playground/widget/view/answer_state.js";

const opening = {
  type: "run", run: 1,
  panes: [{ number: 1, model: "a" }, { number: 2, model: "a" }, { number: 3, model: "b" }],
};
const started = applyMessage(NO_ANSWERS, opening);
const events = (panes, more = {}) => ({ type: "events", run: 1, panes, ...more });

test("replaces the panes on a new Run", () => {
  const next = applyMessage(applyMessage(started, events([{ number: 1, tail: "old" }])), { ...opening, run: 2 });

  assert.equal(next.run, 2);
  assert.deepEqual(next.panes.map((pane) => pane.tail), ["", "", ""]);
});

test("appends new text and replaces other fields", () => {
  const one = applyMessage(started, events([{ number: 2, tail: "Hel", state: "running", status: "x" }]));
  const two = applyMessage(one, events([{ number: 2, tail: "lo", status: "" }]));

  assert.equal(two.panes[1].tail, "Hello");
  assert.equal(two.panes[1].state, "running");
  assert.equal(two.panes[1].status, "");
  assert.equal(one.panes[1].tail, "Hel", "answers are never changed in place");
  assert.equal(two.panes[0], one.panes[0], "a pane without news stays the same object");
});

test("replaces the tail when new blocks arrive", () => {
  const one = applyMessage(started, events([{ number: 1, tail: "# Sea\nIt" }]));
  const two = applyMessage(one, events([{ number: 1, blocks: ["<h1>Sea</h1>"], tail: "It is" }]));
  const three = applyMessage(two, events([{ number: 1, tail: " wide" }]));

  assert.deepEqual([three.panes[0].blocks, three.panes[0].tail], [["<h1>Sea</h1>"], "It is wide"]);
});

test("redraws restarted and replaced answers", () => {
  const one = applyMessage(started, events([{ number: 1, blocks: ["<p>a</p>"], tail: "b", notices: ["x"] }]));
  const restarted = applyMessage(one, events([{ number: 1, again: true, state: "waiting" }]));
  const whole = applyMessage(one, events([{ number: 1, whole: ["<p>ab</p>"] }]));

  assert.deepEqual([restarted.panes[0].blocks, restarted.panes[0].tail, restarted.panes[0].notices], [[], "", []]);
  assert.equal(restarted.panes[0].model, "a");
  assert.deepEqual([whole.panes[0].blocks, whole.panes[0].tail], [["<p>ab</p>"], ""]);
  for (const answers of [restarted, whole]) assert.notEqual(answers.panes[0].revision, one.panes[0].revision);
});

test("ignores messages of an older Run", () => {
  const second = applyMessage(started, { ...opening, run: 2 });

  assert.equal(applyMessage(second, events([{ number: 1, tail: "late" }])), second);
  assert.equal(applyMessage(second, { ...opening, type: "snapshot", summary: "", running: true }), second);
});

test("replaces all text on a snapshot", () => {
  const following = applyMessage(started, events([{ number: 1, tail: "Hello" }]));
  const snapshot = { type: "snapshot", run: 1, running: false, summary: "3 answers", panes: [
    { number: 1, model: "a", blocks: ["<p>Hello</p>"], tail: "", state: "completed" },
  ] };

  const synced = applyMessage(following, snapshot);

  assert.equal(synced.panes[0].blocks.join(), "<p>Hello</p>");
  assert.equal(synced.running, false);
  assert.equal(progress(synced), "3 answers");
});

test("counts calls by state in the progress line", () => {
  const answers = applyMessage(started, events([
    { number: 1, state: "completed" }, { number: 3, state: "running" }]));

  assert.equal(progress(answers), "3 calls · 1 done, 1 streaming, 1 waiting");
  assert.equal(progress({ ...answers, summary: "$0.0016 so far, at most $0.0154" }),
    "3 calls · 1 done, 1 streaming, 1 waiting · $0.0016 so far, at most $0.0154");
});

test("hides the answers that a filter leaves out, and none that goes on", () => {
  const baseline = { run: 1, answer: 1, isOwn: true, title: "", of: new Map([[2, 1], [3, 1]]), panes: [] };
  const answers = { ...applyMessage(started, events([
    { number: 1, state: "completed", digest: "x" }, { number: 2, state: "completed", digest: "x" },
    { number: 3, state: "blocked", digest: "y" }])), baseline };
  const hidden = (only, panes = []) => [...hiddenAnswers(applyMessage(answers, events(panes)), only)];

  assert.deepEqual(hidden({ failed: false, different: false }), []);
  assert.deepEqual(hidden({ failed: true, different: false }), [1, 2]);
  assert.deepEqual(hidden({ failed: false, different: true }), [2]);
  assert.deepEqual(hidden({ failed: true, different: true }), [1, 2]);
  assert.deepEqual(hidden({ failed: true, different: true }, [{ number: 2, state: "running" }]), [1]);
});

test("announces finished answers, not tokens", () => {
  const streaming = applyMessage(started, events([{ number: 1, tail: "Hel", state: "running" }]));
  const done = applyMessage(streaming, events([
    { number: 1, state: "completed", notices: ["Cut off at 8 tokens."] },
    { number: 2, state: "cancelled" }, { number: 3, state: "failed", notices: ["No key."] },
  ], { running: false }));

  assert.equal(announcement(NO_ANSWERS, started), "3 calls sent.");
  assert.equal(announcement(started, streaming), "");
  assert.equal(announcement(streaming, done),
    "Answer 1 is complete. Cut off at 8 tokens. Answer 2 was stopped. Answer 3 failed. No key. All done.");
});
