import assert from "node:assert/strict";
import { test } from "node:test";
import { KEY_HELP, keyAction, isCaptured } from "../../llm_playground/widget/view/keyboard.js";

const press = (name) => {
  const parts = name.split("+");
  const has = (modifier) => parts.slice(0, -1).includes(modifier);
  return {
    key: parts.at(-1), ctrlKey: has("Ctrl"), metaKey: has("Cmd"), altKey: has("Alt"), shiftKey: has("Shift"),
  };
};

test("captures keys of JupyterLab's command mode", () => {
  const stay = [
    ..."abcdjkmxyz0", "Enter", "Shift+Enter", "Ctrl+Enter", "Alt+Enter", "Cmd+Enter", "Escape", "ArrowDown",
    "Ctrl+z", "Cmd+z", "Ctrl+Shift+Z", "Ctrl+c", "Ctrl+v", "Ctrl+x", "Ctrl+a", "Ctrl+Control",
  ];
  for (const key of stay) assert.equal(isCaptured(press(key)), true, key);
});

test("lets other Ctrl and Cmd combinations through", () => {
  for (const key of ["Ctrl+s", "Cmd+s", "Ctrl+Shift+C", "Ctrl+b", "Ctrl+f", "Ctrl+Shift+F"]) {
    assert.equal(isCaptured(press(key)), false, key);
  }
});

test("handles Ctrl+Enter and Escape everywhere", () => {
  for (const place of ["text", "slider", "pane", "answer", "control"]) {
    assert.equal(keyAction(press("Ctrl+Enter"), place), "run");
    assert.equal(keyAction(press("Cmd+Enter"), place), "run");
    assert.equal(keyAction(press("Escape"), place), "escape");
    assert.equal(keyAction(press("Enter"), place), place === "pane" ? "enlarge" : null);
    assert.equal(keyAction(press("Shift+Enter"), place), null);
  }
});

test("handles single letters outside text boxes only", () => {
  const letters = {
    "?": "keys", ".": "stopAll", e: "prompt", a: "answers", m: "model", d: "difference", f: "onlyFailed", t: "asText",
  };
  for (const [key, action] of Object.entries(letters)) {
    assert.equal(keyAction(press(key), "text"), null, key);
    assert.equal(keyAction(press(key), "control"), action, key);
    assert.equal(keyAction(press(`Alt+${key}`), "control"), null, `Alt+${key}`);
    assert.equal(keyAction(press(`Ctrl+${key}`), "control"), null, `Ctrl+${key}`);
  }
});

test("handles answer keys in answers only", () => {
  for (const [key, action] of Object.entries({ s: "stop", c: "copy", r: "retry", p: "pin" })) {
    assert.equal(keyAction(press(key), "answer"), action, key);
    assert.equal(keyAction(press(key), "pane"), action, key);
    assert.equal(keyAction(press(key), "control"), null, key);
  }
  assert.equal(keyAction(press("Enter"), "pane"), "enlarge");
  assert.equal(keyAction(press("Enter"), "answer"), null, "a button in it is pressed");
});

test("leaves arrows to sliders and moves between answers", () => {
  assert.equal(keyAction(press("ArrowRight"), "slider"), null);
  assert.equal(keyAction(press("ArrowRight"), "answer"), "move");
  assert.equal(keyAction(press("PageDown"), "answer"), "scroll");
  assert.equal(keyAction(press("ArrowRight"), "control"), null);
  assert.equal(keyAction(press("toString"), "answer"), null, "only own names count");
});

test("lists every single-key shortcut", () => {
  const listed = KEY_HELP.map(([key]) => key);
  for (const key of ["?", ".", "s", "c", "e", "a", "m", "r", "p", "d", "n", "f", "t", "Enter"]) assert.ok(listed.includes(key), key);
});
