import assert from "node:assert/strict";
import { test } from "node:test";
import { pieces, refusal, sizeText } from "../../llm_playground/widgets/view/pictures.js";
import { moved, nextRole, talkBefore } from "../../llm_playground/widgets/view/turns.js";
import { fromWhere, tableText } from "../../llm_playground/widgets/view/variables.js";

const turn = (role, content) => ({ role, content });
const TALK = {
  turns: [turn("system", "Be brief."), turn("user", "A quarter?"), turn("assistant", "Three months."),
    turn("user", "A year?"), turn("assistant", "Twelve.")],
  prompt: "And a decade?",
  images: [{ id: "1", name: "a.png" }],
};

test("a new turn is of who has not spoken last", () => {
  assert.equal(nextRole([]), "user");
  assert.equal(nextRole([turn("user", "")]), "assistant");
  assert.equal(nextRole([turn("system", "")]), "user");
});

test("a turn moves by a step, and not beyond the ends", () => {
  const list = ["a", "b", "c"];
  assert.deepEqual(moved(list, 0, 1), ["b", "a", "c"]);
  assert.deepEqual(moved(list, 2, -1), ["a", "c", "b"]);
  assert.equal(moved(list, 0, -1), list);
  assert.equal(moved(list, 2, 1), list);
  assert.deepEqual(list, ["a", "b", "c"]);
});

test("re-run from a user's turn asks it again and drops what came later", () => {
  assert.deepEqual(talkBefore(TALK, 3), { turns: TALK.turns.slice(0, 3), prompt: "A year?", images: [] });
});

test("re-run from an assistant's turn asks again what it answered", () => {
  assert.deepEqual(talkBefore(TALK, 4), talkBefore(TALK, 3));
  assert.deepEqual(talkBefore(TALK, 2), { turns: TALK.turns.slice(0, 1), prompt: "A quarter?", images: [] });
});

test("re-run from a system turn keeps it and the prompt", () => {
  assert.deepEqual(talkBefore(TALK, 0), { ...TALK, turns: TALK.turns.slice(0, 1) });
});

test("re-run from an answer to nothing asks the prompt", () => {
  const talk = { ...TALK, turns: [turn("assistant", "Hello."), turn("user", "x")] };
  assert.deepEqual(talkBefore(talk, 0), { ...talk, turns: [] });
});

test("the pictures of a turn that is asked again are the prompt's", () => {
  const seen = { role: "user", content: "This?", images: [{ id: "2", name: "b.png" }] };
  assert.deepEqual(talkBefore({ ...TALK, turns: [seen] }, 0),
    { turns: [], prompt: "This?", images: seen.images });
});

test("what is no picture, empty or too large is refused in a line that names it", () => {
  const file = { name: "cat.png", type: "image/png", size: 10 };
  assert.equal(refusal(file), "");
  assert.equal(refusal({ ...file, name: "notes.txt", type: "text/plain" }),
    "notes.txt is no picture: PNG, JPEG, GIF and WebP are taken.");
  assert.equal(refusal({ ...file, type: "image/svg+xml" }),
    "cat.png is no picture: PNG, JPEG, GIF and WebP are taken.");
  assert.equal(refusal({ ...file, size: 0 }), "cat.png is empty.");
  assert.equal(refusal({ ...file, size: 24_100_000 }),
    "cat.png has 24.1 MB; at most 20 MB are taken. Make it smaller.");
  assert.equal(refusal({ ...file, size: 20_000_000 }), "");
});

test("sizes are for people", () => {
  assert.deepEqual([980, 1_000, 213_700, 999_499, 999_500, 20_000_000].map(sizeText),
    ["980 B", "1 KB", "214 KB", "999 KB", "1.0 MB", "20.0 MB"]);
});

test("pieces cover every byte once", () => {
  assert.deepEqual(pieces(5, 2), [[0, 2], [2, 4], [4, 5]]);
  assert.deepEqual(pieces(4, 2), [[0, 2], [2, 4]]);
  assert.deepEqual(pieces(0, 2), []);
});

test("a chip says where the value comes from and how much it is", () => {
  assert.equal(fromWhere({ detail: "412 tokens" }), "notebook · 412 tokens");
  assert.equal(fromWhere({ detail: "" }), "notebook");
});

test("a table is one line, with a few of its columns", () => {
  assert.equal(tableText({ label: "df", rows: 1200, columns: ["text", "n"] }), "df · 1,200 rows · text, n");
  assert.equal(tableText({ label: "df", rows: 1, columns: [..."abcdefg"] }), "df · 1 row · a, b, c, d, e, 2 more");
});
