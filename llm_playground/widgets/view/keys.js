// Which key does what. JupyterLab's command mode takes every key that reaches the cell: x cuts it,
// b inserts one, Shift+Enter runs it, Ctrl+Z undoes the last change of cells. So a key pressed in
// the panel stays in the panel, except Ctrl and Cmd combinations that edit no text: Save, the
// palette and the rest go on working.

/**
 * Where the focus is: a text box types letters, a slider moves by arrows, "pane" is an answer
 * itself, "answer" anything in it, "control" is every other thing in the panel.
 * @typedef {"text" | "slider" | "pane" | "answer" | "control"} Place
 */

/** @typedef {Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey">} Key */

/**
 * @typedef {"run" | "one" | "escape" | "keys" | "stopAll" | "stop" | "copy" | "prompt" | "model"
 *   | "move" | "scroll" | "retry" | "pin" | "enlarge" | "difference" | "onlyDifferent" | "wire" | "history"} KeyAction
 */

/** @type {Record<string, KeyAction>} */
const PLAIN = {
  "?": "keys", ".": "stopAll", e: "prompt", m: "model", h: "history", d: "difference", n: "onlyDifferent",
};

/** @type {Record<string, KeyAction>} */
const IN_ANSWER = {
  ArrowLeft: "move", ArrowRight: "move", ArrowUp: "move", ArrowDown: "move",
  Home: "move", End: "move", PageUp: "scroll", PageDown: "scroll",
  s: "stop", c: "copy", r: "retry", p: "pin", w: "wire",
};

const EDITS_TEXT = new Set([..."acvxyz"]);
// From the press of Ctrl alone on, JupyterLab waits to turn the browser's undo into its own.
const ALWAYS_OURS = new Set(["Enter", "Escape", "Control", "Meta", "Alt", "Shift"]);

/** What the dialog "Keys" lists. */
export const KEY_HELP = /** @type {const} */ ([
  ["Ctrl/Cmd + Enter", "Run"],
  ["Ctrl/Cmd + Shift + Enter", "Try one"],
  ["Shift + Enter", "New line in a text box"],
  ["Esc", "Close, or back to the cell"],
  ["e", "To the prompt"],
  ["m", "Add a model"],
  ["h", "History"],
  ["← → ↑ ↓ Home End", "Between answers"],
  ["Page Up, Page Down", "Scroll this answer"],
  ["Enter", "Enlarge this answer"],
  ["c", "Copy this answer"],
  ["r", "Retry this answer"],
  ["p", "Pin this answer as baseline"],
  ["d", "Difference to the baseline"],
  ["n", "Only answers that differ"],
  ["w", "Wire of this answer"],
  ["s", "Stop this answer"],
  [".", "Stop all"],
  ["?", "These keys"],
]);

/**
 * What the playground does with a key, null when the browser does what it always does.
 * @param {Key} key
 * @param {Place} place
 * @returns {KeyAction | null}
 */
export function keyAction(key, place) {
  if (key.key === "Escape") return "escape";
  if (key.key === "Enter" && (key.ctrlKey || key.metaKey)) return key.shiftKey ? "one" : "run";
  if (key.ctrlKey || key.metaKey || key.altKey || place === "text") return null;
  if (key.key === "Enter") return place === "pane" && !key.shiftKey ? "enlarge" : null;
  const known = place === "answer" || place === "pane" ? { ...PLAIN, ...IN_ANSWER } : PLAIN;
  return Object.hasOwn(known, key.key) ? (known[key.key] ?? null) : null;
}

/**
 * Whether a key must not reach the notebook.
 * @param {Key} key
 */
export function staysHere(key) {
  const combined = key.ctrlKey || key.metaKey;
  return !combined || ALWAYS_OURS.has(key.key) || editsText(key);
}

/**
 * Select all, copy, paste, cut, undo, redo. Ctrl+Shift+C is JupyterLab's palette, Ctrl+Alt types.
 * @param {Key} key
 */
function editsText(key) {
  const letter = key.key.toLowerCase();
  return !key.altKey && EDITS_TEXT.has(letter) && (!key.shiftKey || letter === "z");
}
