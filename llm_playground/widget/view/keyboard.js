// What each key does: pure functions. JupyterLab's command mode handles every key that reaches the
// cell: x cuts it, b inserts one, Shift+Enter runs it, Ctrl+Z undoes the last change to cells. Keys
// pressed in the panel therefore stay in the panel, except Ctrl and Cmd combinations that do not
// edit text, so that Save, the command palette and the like still work.

/**
 * Where the focus is: in a text box, on a slider, on an answer itself ("pane"), on something inside an
 * answer ("answer"), or on any other control of the panel.
 * @typedef {"text" | "slider" | "pane" | "answer" | "control"} FocusArea
 */

/** @typedef {Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey">} Key */

/**
 * @typedef {"run" | "one" | "escape" | "keys" | "stopAll" | "stop" | "copy" | "prompt" | "answers" | "model"
 *   | "move" | "scroll" | "retry" | "pin" | "enlarge" | "difference" | "onlyDifferent" | "onlyFailed" | "asText"
 *   | "wire" | "history" | "earlier" | "later"} KeyAction
 */

/** @type {Record<string, KeyAction>} */
const EVERYWHERE = {
  "?": "keys", ".": "stopAll", e: "prompt", a: "answers", m: "model", h: "history", d: "difference", n: "onlyDifferent",
  f: "onlyFailed", t: "asText",
  "[": "earlier", "]": "later", "<": "earlier", ">": "later", // the brackets have no key of their own everywhere
};

/** @type {Record<string, KeyAction>} */
const IN_ANSWER = {
  ArrowLeft: "move", ArrowRight: "move", ArrowUp: "move", ArrowDown: "move",
  Home: "move", End: "move", PageUp: "scroll", PageDown: "scroll",
  s: "stop", c: "copy", r: "retry", p: "pin", w: "wire",
};

const EDITS_TEXT = new Set([..."acvxyz"]);
// After Ctrl is pressed, JupyterLab prepares to replace the browser's undo with its own.
const ALWAYS_CAPTURED = new Set(["Enter", "Escape", "Control", "Meta", "Alt", "Shift"]);

/** The rows of the dialog "Keys". */
export const KEY_HELP = /** @type {const} */ ([
  ["Ctrl/Cmd + Enter", "Run"],
  ["Ctrl/Cmd + Shift + Enter", "Try one"],
  ["Shift + Enter", "New line in a text box"],
  ["Esc", "Close, then leave the text box, then back to the cell"],
  ["e", "To the prompt"],
  ["a", "To the answers"],
  ["m", "Add a model"],
  ["h", "History"],
  ["← → ↑ ↓ Home End", "Between answers"],
  ["Page Up, Page Down", "Scroll this answer"],
  ["Enter", "Show all of this answer, or less"],
  ["c", "Copy this answer"],
  ["r", "Retry this answer"],
  ["p", "Pin this answer as baseline"],
  ["d", "Difference to the baseline"],
  ["n", "Only answers that differ"],
  ["f", "Only answers that failed"],
  ["t", "Answers as text, or formatted"],
  ["[ ] or < >", "Earlier Run, later Run"],
  ["w", "Wire of this answer"],
  ["s", "Stop this answer"],
  [".", "Stop all"],
  ["?", "These keys"],
]);

/**
 * The playground's action for a key, or null to leave the key to the browser.
 * @param {Key} key
 * @param {FocusArea} area
 * @returns {KeyAction | null}
 */
export function keyAction(key, area) {
  if (key.key === "Escape") return "escape";
  if (key.key === "Enter" && (key.ctrlKey || key.metaKey)) return key.shiftKey ? "one" : "run";
  if (key.ctrlKey || key.metaKey || key.altKey || area === "text") return null;
  if (key.key === "Enter") return area === "pane" && !key.shiftKey ? "enlarge" : null;
  const actions = area === "answer" || area === "pane" ? { ...EVERYWHERE, ...IN_ANSWER } : EVERYWHERE;
  return Object.hasOwn(actions, key.key) ? (actions[key.key] ?? null) : null;
}

/**
 * Whether a key is kept from the notebook.
 * @param {Key} key
 */
export function isCaptured(key) {
  const withCtrlOrCmd = key.ctrlKey || key.metaKey;
  return !withCtrlOrCmd || ALWAYS_CAPTURED.has(key.key) || editsText(key);
}

/**
 * Whether a Ctrl or Cmd combination is select all, copy, paste, cut, undo or redo. Ctrl+Shift+C opens
 * JupyterLab's command palette; Ctrl+Alt types characters on some keyboards.
 * @param {Key} key
 */
function editsText(key) {
  const letter = key.key.toLowerCase();
  return !key.altKey && EDITS_TEXT.has(letter) && (!key.shiftKey || letter === "z");
}
