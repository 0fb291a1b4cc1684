// The toolbar and its dialogs "Code" and "Save as", and the menu that exports answers.

import { isOpen } from "./answer_state.js";
import { COPY_FAILED, button, copyText, createBlock, createToggle, h, isPressed, newId, setText } from "./dom.js";
import { createHistoryDialog } from "./history.js";
import { createInspector } from "./inspector.js";
import { createDialog, createMenu } from "./overlay.js";
import { createOpenDialog } from "./saved_prompts.js";

/** @typedef {import("./dom.js").View} View */
/** @typedef {ReturnType<typeof createToolbar>} Toolbar */

/**
 * Create the toolbar in the heading with its dialogs, and add items to the menu of each answer.
 * @param {View} view
 * @param {{open: () => void}} keys
 */
export function createToolbar(view, keys) {
  const inspector = createInspector(view);
  const code = createCodeDialog(view);
  const history = createHistoryDialog(view);
  const save = createSaveDialog(view);
  const openPrompt = createOpenDialog(view, save.setName);
  const exportMenu = createExportMenu(view);
  const { status } = view;
  const share = () => {
    view.request("link").then((text) => copyText(text, element).then((done) => (
      done ? status.say(`Copied ${text}`) : status.fail(`Copy this: ${text}`))), status.report);
  };
  /** @type {(text: string, attributes: Record<string, string>, onPress: () => void) => HTMLElement} */
  const tool = (text, attributes, onPress) => button(text, { class: "llm-link", ...attributes }, view.signal, onPress);
  const element = h("nav", { class: "llm-tools", "aria-label": "Playground" },
    tool("History", { title: "Runs of the log (h)" }, history.open),
    tool("Open…", { title: "Open a saved prompt" }, openPrompt.open),
    tool("Save as…", { title: "Save the form as a prompt with a name" }, save.open),
    tool("Code", { title: "Python, JavaScript, cURL" }, () => code.open()),
    tool("Share", { title: "Copy the code that opens these answers again" }, share),
    tool("?", { "aria-label": "Keys", title: "Keys (?)" }, keys.open));
  view.answerMenuItems.push(
    { label: "Wire", key: "w", act: inspector.open },
    { label: "Code", act: code.open });
  return {
    element,
    /** Placed to the right of the answers' line. */
    exportMenu: exportMenu.element,
    dialogs: [inspector.element, code.element, history.element, openPrompt.element, save.element],
    paint: exportMenu.paint,
    inspector, history,
  };
}

/** @typedef {{language: string, text?: string, html?: string, error?: string}} Tab */

/** @type {Record<string, string>} */
const LANGUAGE_NAMES = { python: "Python", javascript: "JavaScript", curl: "cURL" };

/**
 * Create the dialog "Code": an answer's call, or the form's, as Python, JavaScript and cURL.
 * @param {View} view
 */
export function createCodeDialog(view) {
  const id = newId();
  const source = h("p", { class: "llm-side" });
  const asFunction = createToggle(view, "Function", "A function whose parameters are the variables", () => read());
  const streamed = createToggle(view, "Stream", "Print the answer as it arrives", () => read());
  streamed.setAttribute("aria-pressed", "true");
  const forms = h("div", { role: "group", class: "llm-code-forms", "aria-label": "Form of the code" }, asFunction, streamed);
  const tabs = h("div", { role: "tablist", class: "llm-tabs", "aria-label": "Language" });
  const panel = h("div", { role: "tabpanel", id, class: "llm-code-panel" });
  const dialog = createDialog(view, "Code", h("div", { class: "llm-code-head" }, source, forms), tabs, panel);
  dialog.element.classList.add("llm-wide");
  /** @type {{tabs: Tab[], selected: string, request: number, answer: number | null}} */
  const state = { tabs: [], selected: "python", request: 0, answer: null };

  /** @param {boolean} focus */
  const paint = (focus = false) => {
    const buttons = state.tabs.map(({ language }) => {
      const selected = language === state.selected;
      return button(LANGUAGE_NAMES[language] ?? language, {
        role: "tab", class: "llm-link", "aria-selected": String(selected), "aria-controls": id,
        tabindex: selected ? "0" : "-1", "data-language": language,
      }, view.signal, () => choose(language));
    });
    tabs.replaceChildren(...buttons);
    const shown = state.tabs.find(({ language }) => language === state.selected);
    const name = LANGUAGE_NAMES[state.selected] ?? state.selected;
    panel.setAttribute("aria-label", name);
    panel.replaceChildren(shown?.html === undefined
      ? h("p", { class: "llm-wire-note" }, shown?.error ?? "") : createBlock(view, shown.html));
    panel.querySelector("pre")?.setAttribute("tabindex", "0");
    if (focus) buttons.find((one) => one.dataset["language"] === state.selected)?.focus();
  };
  /** @param {string} language */
  const choose = (language) => {
    state.selected = language;
    paint(true);
  };
  view.localKeys.set(tabs, ({ key }) => {
    const names = state.tabs.map(({ language }) => language);
    const at = names.indexOf(state.selected);
    /** @type {Record<string, number>} */
    const moves = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: names.length - 1 };
    const to = moves[key];
    if (to === undefined || names.length === 0) return false;
    choose(names[(to + names.length) % names.length] ?? state.selected);
    return true;
  });
  /** Ask the kernel for the code in the chosen form; `opened` puts the focus on its language. */
  const read = (opened = false) => {
    const request = ++state.request;
    const form = { as_function: isPressed(asFunction), stream: isPressed(streamed) };
    const of = state.answer === null ? {} : { number: state.answer };
    view.request("code", { ...form, ...of }).then((code) => {
      if (request !== state.request) return;
      setText(source, code.of);
      state.tabs = code.tabs;
      paint(opened);
    }, (/** @type {Error} */ error) => request === state.request
      && panel.replaceChildren(h("p", { class: "llm-problem", role: "alert" }, error.message)));
  };
  /** @param {number | null} number of the answer; null for the form */
  const open = (number = null) => {
    state.answer = number;
    setText(source, "");
    tabs.replaceChildren();
    panel.replaceChildren();
    dialog.open();
    view.flush();
    read(true);
  };
  return { element: dialog.element, open, close: dialog.close };
}

/** @typedef {{name: string, kind: string, text?: string, base64?: string}} ExportedFile */

/** @type {[string, string][]} */
const FORMATS = [
  ["html", "HTML"], ["markdown", "Markdown"], ["notebook", "notebook"], ["json", "JSON"], ["csv", "CSV"],
  ["parquet", "Parquet"],
];
const COPIED = ["json", "markdown", "csv"]; // of the formats, those that people paste

/**
 * The content of an exported file.
 * @param {ExportedFile} file
 * @returns {string | Uint8Array<ArrayBuffer>}
 */
export function contentOf({ text, base64 }) {
  return base64 === undefined ? text ?? "" : Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}

/**
 * Create the menu "Export" and the button that copies the form as a cell.
 * @param {View} view
 */
export function createExportMenu(view) {
  const menu = createMenu(view, { text: "Export ▾", name: "Export" }, () => [
    ...FORMATS.map(([format, name]) => ({ label: `Download ${name}`, act: () => fetchExport(format, download) })),
    ...FORMATS.filter(([format]) => COPIED.includes(format)).map(
      ([format, name]) => ({ label: `Copy ${name}`, act: () => fetchExport(format, copy) })),
  ]);
  const title = "Copy the form as a cell that runs the same calls";
  const cell = button("Copy as cell", { class: "llm-link", title }, view.signal, () => {
    view.flush();
    view.request("cell").then((text) => copyText(text, element).then(
      (done) => showCopied(done, "Copied. Paste it into a cell.")), view.status.report);
  });
  const element = h("span", { class: "llm-leaving", hidden: true }, menu.element, cell);

  /** @param {boolean} done @param {string} sentence */
  const showCopied = (done, sentence) => (done ? view.status.say(sentence) : view.status.fail(COPY_FAILED));
  /**
   * @param {string} format
   * @param {(file: ExportedFile) => void} act
   */
  const fetchExport = (format, act) => {
    view.request("export", { format }).then(act, view.status.report);
  };
  /** @param {ExportedFile} file */
  const download = (file) => {
    const { name, kind } = file;
    const type = file.base64 === undefined ? `${kind};charset=utf-8` : kind;
    const url = URL.createObjectURL(new Blob([contentOf(file)], { type }));
    const link = h("a", { href: url, download: name, class: "llm-offscreen" });
    element.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    view.status.say(`Saved as ${name}.`);
  };
  /** @param {ExportedFile} file */
  const copy = ({ text }) => {
    copyText(text ?? "", element).then((done) => showCopied(done, "Copied."));
  };
  /** @param {import("./answer_state.js").AnswerSet} answers */
  const paint = (answers) => {
    element.hidden = answers.panes.length === 0;
    element.classList.toggle("llm-invisible", answers.panes.every(isOpen));
  };
  return { element, paint };
}

/**
 * Create the dialog "Save as", which saves the form as a version of a named prompt.
 * @param {View} view
 */
export function createSaveDialog(view) {
  const ids = { name: newId(), note: newId(), names: newId() };
  const name = h("input", {
    type: "text", id: ids.name, list: ids.names, autocomplete: "off", spellcheck: "false",
    placeholder: "invoice-summary",
  });
  const names = h("datalist", { id: ids.names });
  const note = h("input", {
    type: "text", id: ids.note, autocomplete: "off", placeholder: "What this version is about",
  });
  const problem = h("p", { class: "llm-problem", role: "alert" });
  const done = h("p", { class: "llm-version", role: "status" });
  const press = button("Save", { class: "llm-run" }, view.signal, () => save());
  const form = h("div", { class: "llm-save" },
    h("label", { for: ids.name, class: "llm-label" }, "Name"), name, names,
    h("label", { for: ids.note, class: "llm-label" }, "Note"), note,
    h("div", { class: "llm-save-foot" }, h("div", {}, problem, done), press));
  const dialog = createDialog(view, "Save as", form);
  let lastRequest = 0;

  const save = () => {
    const request = ++lastRequest;
    setText(problem, "");
    setText(done, "");
    view.flush();
    view.request("save_prompt", { name: name.value, note: note.value }).then((version) => {
      if (request !== lastRequest) return;
      note.value = "";
      done.replaceChildren("Saved as ", h("b", {}, version), ". Use it: ", h("code", {}, promptCode(version)));
    }, (/** @type {Error} */ error) => request === lastRequest && setText(problem, error.message));
  };
  view.localKeys.set(form, (event) => {
    const sends = event.key === "Enter" && event.target instanceof HTMLInputElement;
    if (sends) save();
    return sends;
  });
  const open = () => {
    setText(problem, "");
    setText(done, "");
    name.value ||= String(view.model.get("name") ?? "");
    dialog.open();
    name.focus();
    name.select();
    view.request("prompt_names").then(
      (known) => names.replaceChildren(...known.map((/** @type {string} */ value) => h("option", { value }))),
      () => names.replaceChildren());
  };
  /** @param {string} value the name to save the next version under */
  const setName = (value) => { name.value = value; };
  return { element: dialog.element, open, close: dialog.close, setName };
}

/**
 * The code that uses a saved prompt.
 * @param {string} version "name@3"
 */
export function promptCode(version) {
  return `lp.prompt(${JSON.stringify(version.replace(/@\d+$/, ""))})`;
}
