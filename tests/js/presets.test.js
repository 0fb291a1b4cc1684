import assert from "node:assert/strict";
import { test } from "node:test";
import { isBeyondPreset } from "../../llm_playground/widget/view/presets.js";

test("offers to save what the chosen preset does not set", () => {
  const precise = { temperature: 0.2 };

  assert.equal(isBeyondPreset({ temperature: 0.2, top_p: null }, precise), false, "the preset as it is");
  assert.equal(isBeyondPreset({ temperature: 0.2, top_p: 0.9 }, precise), true, "one more");
  assert.equal(isBeyondPreset({ temperature: [0, 1], top_p: null }, precise), true, "another value");
  assert.equal(isBeyondPreset({ temperature: null, top_p: null }, precise), false, "nothing set");
  assert.equal(isBeyondPreset({ temperature: 0, top_p: null }, {}), true, "without a preset");
  assert.equal(isBeyondPreset({ stop_at: ["END"] }, { stop_at: ["END"] }), false);
});
