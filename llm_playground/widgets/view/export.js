// What leaves the panel: answers as a file, the form as a cell.

import { h, button, setText } from "./dom.js";
import { createMenu } from "./menu.js";
import { NOT_COPIED, copyText } from "./clipboard.js";
import { isOpen } from "./panes.js";

/** @typedef {import("./dom.js").View} View */

/** @type {[string, string][]} */
const FORMATS = [["json", "JSON"], ["markdown", "Markdown"], ["csv", "CSV"]];

/**
 * The words at the right of the answers' line.
 * @param {View} view
 */
export function createExport(view) {
  const said = h("span", { class: "llm-side", role: "status" });
  const menu = createMenu(view, { text: "Export ▾", name: "Export" }, () => [
    ...FORMATS.map(([format, name]) => ({ label: `Download ${name}`, act: () => fetchExport(format, download) })),
    ...FORMATS.map(([format, name]) => ({ label: `Copy ${name}`, act: () => fetchExport(format, copy) })),
  ]);
  const cell = button("Copy as cell", { class: "llm-link", title: "A cell that asks the same" }, view.signal, () => {
    view.settle();
    view.ask("cell").then((text) => copyText(text, element).then((done) => tell(
      done ? "Copied: paste it into a cell." : NOT_COPIED)), fail);
  });
  const element = h("span", { class: "llm-leaving", hidden: true }, said, menu.element, cell);

  /** @param {string} sentence */
  const tell = (sentence) => {
    setText(said, sentence);
    clearTimeout(timer);
    timer = setTimeout(() => setText(said, ""), 6_000);
  };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  view.signal.addEventListener("abort", () => clearTimeout(timer));
  const fail = (/** @type {Error} */ error) => tell(error.message);
  /**
   * @param {string} format
   * @param {(told: {text: string, name: string, kind: string}) => void} act
   */
  const fetchExport = (format, act) => {
    view.ask("export", { format }).then(act, fail);
  };
  /** @param {{text: string, name: string, kind: string}} told */
  const download = ({ text, name, kind }) => {
    const url = URL.createObjectURL(new Blob([text], { type: `${kind};charset=utf-8` }));
    const link = h("a", { href: url, download: name, class: "llm-offscreen" });
    element.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    tell(`Saved as ${name}.`);
  };
  /** @param {{text: string, name: string}} told */
  const copy = ({ text }) => {
    copyText(text, element).then((done) => tell(done ? "Copied." : NOT_COPIED));
  };
  /** @param {import("./panes.js").Sheet} sheet */
  const paint = (sheet) => {
    element.hidden = !sheet.panes.some((pane) => !isOpen(pane));
  };
  return { element, paint };
}
