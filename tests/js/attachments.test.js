import assert from "node:assert/strict";
import { test } from "node:test";
import { chunks, formatSize, rejectionReason, traitOf } from "../../llm_playground/widget/view/attachments.js";

test("rejects unsupported, empty and oversized files", () => {
  const file = { name: "cat.png", type: "image/png", size: 10 };
  assert.equal(rejectionReason(file), "");
  assert.equal(rejectionReason({ ...file, name: "cat.bmp", type: "image/bmp" }),
    "cat.bmp is not a supported image. Use PNG, JPEG, GIF or WebP.");
  assert.equal(rejectionReason({ ...file, name: "notes.txt", type: "text/plain" }), "");
  assert.equal(rejectionReason({ name: "a.pdf", type: "application/pdf", size: 50_000_001 }),
    "a.pdf is 50.0 MB; the limit is 50 MB. Make it smaller.");
  assert.equal(rejectionReason({ name: "a.pdf", type: "", size: 0 }), "a.pdf is empty.");
  assert.equal(rejectionReason({ ...file, size: 0 }), "cat.png is empty.");
  assert.equal(rejectionReason({ ...file, size: 24_100_000 }),
    "cat.png is 24.1 MB; the limit is 20 MB. Make it smaller.");
  assert.equal(rejectionReason({ ...file, size: 20_000_000 }), "");
});

test("takes pictures as images and all else as files", () => {
  const traits = ["image/png", "image/bmp", "image/svg+xml", "application/pdf", ""].map((type) => traitOf({ name: "a", type }));
  assert.deepEqual(traits, ["images", "images", "files", "files", "files"]);
});

test("formats sizes in readable units", () => {
  assert.deepEqual([980, 1_000, 213_700, 999_499, 999_500, 20_000_000].map(formatSize),
    ["980 B", "1 KB", "214 KB", "999 KB", "1.0 MB", "20.0 MB"]);
});

test("covers every byte once", () => {
  assert.deepEqual(chunks(5, 2), [[0, 2], [2, 4], [4, 5]]);
  assert.deepEqual(chunks(4, 2), [[0, 2], [2, 4]]);
  assert.deepEqual(chunks(0, 2), []);
});
