import assert from "node:assert/strict";
import { test } from "node:test";
import { conversationBefore, moved, nextRole } from "../../llm_playground/widget/view/turns.js";

const turn = (role, content) => ({ role, content });
const TALK = {
  turns: [turn("system", "Be brief."), turn("user", "A quarter?"), turn("assistant", "Three months."),
    turn("user", "A year?"), turn("assistant", "Twelve.")],
  prompt: "And a decade?",
  images: [{ id: "1", name: "a.png" }],
  files: [{ id: "3", name: "a.pdf" }],
};

test("alternates roles", () => {
  assert.equal(nextRole([]), "user");
  assert.equal(nextRole([turn("user", "")]), "assistant");
  assert.equal(nextRole([turn("system", "")]), "user");
});

test("moves turns within the list", () => {
  const list = ["a", "b", "c"];
  assert.deepEqual(moved(list, 0, 1), ["b", "a", "c"]);
  assert.deepEqual(moved(list, 2, -1), ["a", "c", "b"]);
  assert.equal(moved(list, 0, -1), list);
  assert.equal(moved(list, 2, 1), list);
  assert.deepEqual(list, ["a", "b", "c"]);
});

test("re-runs a user turn and drops later turns", () => {
  assert.deepEqual(conversationBefore(TALK, 3), { turns: TALK.turns.slice(0, 3), prompt: "A year?", images: [], files: [] });
});

test("re-runs the question of an assistant turn", () => {
  assert.deepEqual(conversationBefore(TALK, 4), conversationBefore(TALK, 3));
  assert.deepEqual(conversationBefore(TALK, 2), { turns: TALK.turns.slice(0, 1), prompt: "A quarter?", images: [], files: [] });
});

test("keeps a system turn and the prompt", () => {
  assert.deepEqual(conversationBefore(TALK, 0), { ...TALK, turns: TALK.turns.slice(0, 1) });
});

test("re-runs the prompt when no question precedes", () => {
  const talk = { ...TALK, turns: [turn("assistant", "Hello."), turn("user", "x")] };
  assert.deepEqual(conversationBefore(talk, 0), { ...talk, turns: [] });
});

test("restores the images of a re-run turn", () => {
  const seen = { role: "user", content: "This?", images: [{ id: "2", name: "b.png" }], files: [{ id: "4", name: "b.pdf" }] };
  assert.deepEqual(conversationBefore({ ...TALK, turns: [seen] }, 0),
    { turns: [], prompt: "This?", images: seen.images, files: seen.files });
});
