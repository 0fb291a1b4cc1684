// The drawer "History": searches the Runs of the log, unfolds them and opens one in the panel.

import { button, h, newId, setText } from "./dom.js";
import { aboutLine, differsLine, formatMoment, historyItems, isFailure } from "./history_list.js";
import { createDialog } from "./overlay.js";
import { createUndo } from "./status_line.js";

/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./history_list.js").HistoryRun} HistoryRun */
/** @typedef {import("./history_list.js").HistoryAnswer} HistoryAnswer */
/** @typedef {import("./history_list.js").HistoryItem} HistoryItem */

const SEARCH_AFTER_MS = 200;
const SEARCHING_AFTER_MS = 400;
const PAGE_KEY_ROWS = 8;
const NOTEBOOK = "This notebook";
const NO_RUNS_YET = "No runs yet in this log.";
const NOTHING_FOUND = "Nothing matches. Texts older than 90 days are compressed; search them too?";

/** @param {View} view */
export function createHistoryDialog(view) {
  const ids = { list: newId(), row: newId() };
  const search = h("input", {
    type: "text", class: "llm-search", placeholder: "Search prompts and answers", "aria-label": "Search the log",
    role: "combobox", "aria-expanded": "true", "aria-controls": ids.list, "aria-autocomplete": "list",
    autocomplete: "off", spellcheck: "false",
  });
  const of = createScope(view, () => load());
  const line = h("p", { class: "llm-history-line", role: "status" });
  const list = h("ul", { id: ids.list, role: "listbox", "aria-label": "Runs" });
  const more = button("Load more", { class: "llm-link", hidden: true }, view.signal, () => load(true));
  const searchCompressed = button("Search them", { class: "llm-link", hidden: true }, view.signal, () => {
    state.compressed = true;
    load();
  });
  const keys = h("p", { class: "llm-history-keys" }, "Enter opens, → shows the answers of a Run.");
  const dialog = createDialog(view, "History",
    h("div", { class: "llm-history-head" }, search, of.element, line,
      searchCompressed), list, more, keys);
  dialog.element.classList.add("llm-drawer");
  const undo = createUndo(view);
  /** @type {{runs: HistoryRun[], unfolded: Map<string, HistoryAnswer[]>, items: HistoryItem[], at: number, request: number, compressed: boolean}} */
  const state = { runs: [], unfolded: new Map(), items: [], at: -1, request: 0, compressed: false };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let typing;

  const paint = () => {
    const now = new Date();
    state.items = historyItems(state.runs, state.unfolded);
    list.replaceChildren(...state.items.map((item, at) => drawItem(item, at, now)));
    mark(Math.min(state.at, state.items.length - 1));
  };
  /**
   * @param {HistoryItem} item
   * @param {number} at
   * @param {Date} now
   */
  const drawItem = (item, at, now) => {
    const isUnfolded = state.unfolded.has(item.run.run_id);
    const fold = item.answer ? null : createFold(view, isUnfolded, () => {
      toggle(at, !isUnfolded);
      search.focus();
    });
    const element = createHistoryRow(item, isUnfolded, now, fold);
    element.id = `${ids.row}-${at}`;
    element.addEventListener("click", () => reopen(at), { signal: view.signal });
    return element;
  };
  /** @param {number} at */
  const mark = (at) => {
    state.at = at;
    for (const [index, element] of [...list.children].entries()) {
      element.setAttribute("aria-selected", String(index === at));
    }
    const marked = list.children[at];
    if (marked) search.setAttribute("aria-activedescendant", marked.id);
    else search.removeAttribute("aria-activedescendant");
    if (at <= 0) dialog.element.scrollTop = 0;
    else marked?.scrollIntoView({ block: "nearest" });
  };
  /**
   * Unfold a Run or fold it again, and mark it.
   * @param {number} at
   * @param {boolean} unfold
   */
  const toggle = (at, unfold) => {
    const run = state.items[at]?.run;
    if (!run || state.unfolded.has(run.run_id) === unfold) return;
    const show = () => {
      state.at = state.items.findIndex((item) => item.run === run);
      paint();
    };
    if (!unfold) {
      state.unfolded.delete(run.run_id);
      return show();
    }
    view.request("history_answers", { run: run.run_id }).then((answers) => {
      if (!state.runs.includes(run)) return;
      state.unfolded.set(run.run_id, answers);
      show();
    }, fail);
  };

  /** @param {boolean} further whether to append to the shown Runs */
  const load = (further = false) => {
    const request = ++state.request;
    const late = setTimeout(() => {
      if (request === state.request) setText(line, "Searching the log…");
    }, SEARCHING_AFTER_MS);
    const query = {
      search: search.value, of: of.value(), compressed: state.compressed,
      after: further ? (state.runs.at(-1) ?? null) : null,
    };
    view.request("history", query).then((page) => {
      if (request === state.request) show(page, further);
    }, (/** @type {Error} */ error) => {
      if (request === state.request) fail(error);
    }).finally(() => clearTimeout(late));
  };
  /**
   * @param {{rows: HistoryRun[], more: boolean, notebook: string}} page
   * @param {boolean} further
   */
  const show = (page, further) => {
    const before = further ? state.items.length : 0;
    state.runs = further ? [...state.runs, ...page.rows] : page.rows;
    if (!further) state.unfolded.clear();
    if (!further) state.at = page.rows.length > 0 ? 0 : -1;
    more.hidden = !page.more;
    of.setNotebook(page.notebook);
    paint();
    if (further) mark(before);
    const searched = search.value.trim() !== "" || of.value() !== "";
    const none = state.runs.length === 0;
    keys.hidden = none;
    searchCompressed.hidden = !(none && searched && !state.compressed);
    if (!none) setText(line, "");
    else if (!searched) setText(line, NO_RUNS_YET);
    else setText(line, state.compressed ? "Nothing matches, not even in compressed texts." : NOTHING_FOUND);
    if (further) search.focus();
  };
  /** @param {Error} error */
  const fail = (error) => {
    setText(line, error.message);
    searchCompressed.hidden = true;
  };

  /** @param {number} at */
  const reopen = (at) => {
    const item = state.items[at];
    if (!item) return;
    view.flush();
    const { run, answer } = item;
    const wanted = answer ? { run: answer.run_id, alone: true } : { run: run.run_id };
    view.request("reopen", wanted).then(({ note }) => {
      dialog.close();
      view.afterOpen();
      const what = answer ? "Opened one answer of" : "Opened the Run of";
      const opened = `${what} ${formatMoment(run.started_at, new Date())}.`;
      undo.offer([opened, note].filter(Boolean).join(" "), () => (
        view.request("undo").then(() => view.status.say("Form and answers were restored."))));
    }, fail);
  };
  const scheduleSearch = () => {
    clearTimeout(typing);
    state.compressed = false;
    typing = setTimeout(load, SEARCH_AFTER_MS);
  };
  search.addEventListener("input", scheduleSearch, { signal: view.signal });
  view.signal.addEventListener("abort", () => clearTimeout(typing));
  // With the caret at the end of the text, the arrows left and right fold.
  const atEnd = () => search.selectionStart === search.value.length;
  view.localKeys.set(search, ({ key }) => {
    const last = state.items.length - 1;
    const isFolded = !state.unfolded.has(state.items[state.at]?.run.run_id ?? "");
    /** @type {Record<string, () => void>} */
    const acts = {
      ArrowDown: () => (state.at < last ? mark(state.at + 1) : more.hidden || load(true)),
      ArrowUp: () => mark(Math.max(0, state.at - 1)),
      PageDown: () => mark(Math.min(last, state.at + PAGE_KEY_ROWS)),
      PageUp: () => mark(Math.max(0, state.at - PAGE_KEY_ROWS)),
      Enter: () => reopen(state.at),
      ...(atEnd() && isFolded && { ArrowRight: () => toggle(state.at, true) }),
      ...(atEnd() && !isFolded && { ArrowLeft: () => toggle(state.at, false) }),
    };
    acts[key]?.();
    return key in acts;
  });
  const open = () => {
    state.runs = []; // those of the last time: keys act on the rows that come
    paint();
    dialog.open();
    search.focus();
    search.select();
    load();
  };
  return { element: dialog.element, open, close: dialog.close };
}

/**
 * Create the row of a Run, with its `fold`, or of an answer.
 * @param {HistoryItem} item
 * @param {boolean} isUnfolded
 * @param {Date} now
 * @param {HTMLElement | null} fold
 */
function createHistoryRow(item, isUnfolded, now, fold) {
  const { run, answer } = item;
  const row = h("li", {
    role: "option", "aria-selected": "false", "data-failed": isFailure(item),
    class: answer ? "llm-past-one" : "llm-past-run",
  });
  const prompt = answer ? answer.prompt : run.prompt || (run.compressed ? "(compressed)" : "(no text stored)");
  const models = answer?.model ?? Object.keys(run.models).join(", ");
  if (fold) row.append(fold);
  if (prompt) row.append(h("span", { class: "llm-past-prompt" }, prompt));
  if (answer || !isUnfolded) row.append(h("span", { class: "llm-past-answer" }, (answer ?? run).answer));
  row.append(h("span", { class: "llm-side", title: models }, aboutLine(item, now)));
  if (!answer) row.append(...createDiffers(run));
  if (!answer && isUnfolded) row.append(h("span", { class: "llm-offscreen" }, "unfolded")); // for a reader
  return row;
}

/**
 * Create the mark beside a Run, pressed with the pointer; the keyboard has the arrows.
 * @param {View} view
 * @param {boolean} isUnfolded
 * @param {() => void} onPress
 */
function createFold(view, isUnfolded, onPress) {
  const fold = h("span", { class: "llm-past-fold", "aria-hidden": "true" }, isUnfolded ? "▾" : "▸");
  fold.addEventListener("click", (event) => {
    event.stopPropagation();
    onPress();
  }, { signal: view.signal });
  return fold;
}

/**
 * Create the line of a Run that says what differs from the form as it is now.
 * @param {HistoryRun} run
 */
function createDiffers({ differs }) {
  const text = differsLine(differs, "same as the form now");
  return text ? [h("span", { class: "llm-side llm-past-differs", title: differs?.in_full || text }, text)] : [];
}

/**
 * Create the choice whose Runs are listed: all, or those of the notebook or the panel.
 * @param {View} view
 * @param {() => void} onChange
 */
function createScope(view, onChange) {
  const name = newId();
  const createChoice = (/** @type {string} */ value, /** @type {string} */ text) => {
    const input = h("input", { type: "radio", name, value, checked: value === "" });
    const words = h("span", {}, text);
    return { input, words, element: h("label", {}, input, words) };
  };
  const choices = [["", "Everything"], ["notebook", NOTEBOOK], ["panel", "This panel"]]
    .map(([value = "", text = ""]) => createChoice(value, text));
  const element = h("div", { class: "llm-scope", role: "radiogroup", "aria-label": "Runs of" },
    ...choices.map((choice) => choice.element));
  element.addEventListener("change", onChange, { signal: view.signal });
  return {
    element,
    value: () => choices.find(({ input }) => input.checked)?.input.value ?? "",
    /** @param {string} file the notebook's name; empty where unknown */
    setNotebook: (file) => {
      const [, notebook] = choices;
      if (!notebook) return;
      notebook.element.hidden = file === "" && !notebook.input.checked;
      setText(notebook.words, file || NOTEBOOK);
    },
  };
}
