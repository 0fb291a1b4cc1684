// The words of the heading, what the menu of an answer adds, and their dialogs.

import { h, button, setText } from "./dom.js";
import { createWire } from "./wire.js";
import { createCode } from "./code.js";
import { createExport } from "./export.js";
import { createHistory } from "./history.js";
import { createSave } from "./save.js";
import { copyText } from "./clipboard.js";

/** @typedef {import("./dom.js").View} View */
/** @typedef {ReturnType<typeof createTools>} Tools */

/**
 * @param {View} view
 * @param {{open: () => void}} keys
 */
export function createTools(view, keys) {
  const wire = createWire(view);
  const code = createCode(view);
  const history = createHistory(view);
  const save = createSave(view);
  const leaving = createExport(view);
  const said = h("p", { class: "llm-shared", role: "status" });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  view.signal.addEventListener("abort", () => clearTimeout(timer));
  /** @param {string} sentence @param {boolean} stays what is yet to be done, until the next press */
  const tell = (sentence, stays) => {
    setText(said, sentence);
    clearTimeout(timer);
    if (!stays) timer = setTimeout(() => setText(said, ""), 6_000);
  };
  const share = () => {
    view.ask("link").then((text) => copyText(text, element).then((done) => tell(
      done ? `Copied ${text}` : `Copy this: ${text}`, !done)), (/** @type {Error} */ error) => tell(error.message, true));
  };
  /** @type {(text: string, attributes: Record<string, string>, press: () => void) => HTMLElement} */
  const word = (text, attributes, press) => button(text, { class: "llm-link", ...attributes }, view.signal, press);
  const element = h("nav", { class: "llm-tools", "aria-label": "Playground" },
    word("History", { title: "Runs of the log (h)" }, history.open),
    word("Save as…", { title: "Save the form as a prompt with a name" }, save.open),
    word("Code", { title: "Python, JavaScript, cURL" }, () => code.open()),
    word("Share", { title: "Copy the code that opens these answers again" }, share),
    word("?", { "aria-label": "Keys", title: "Keys (?)" }, keys.open));
  view.answerItems.push(
    { label: "Wire", key: "w", act: wire.open },
    { label: "Code", act: code.open });
  return {
    element,
    /** What stands below the heading: what was opened, what was shared. */
    lines: h("div", { class: "llm-tool-lines" }, history.undo, said),
    /** What stands at the right of the answers' line. */
    leaving: leaving.element,
    dialogs: [wire.element, code.element, history.element, save.element],
    paint: leaving.paint,
    wire, code, history,
  };
}
