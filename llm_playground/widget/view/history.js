// The drawer "History": searches the runs of the log and opens one in the panel.

import { button, h, newId, setText } from "./dom.js";
import { createDialog, createUndoLine } from "./overlay.js";

/** @typedef {import("./dom.js").View} View */

/**
 * One run of the list.
 * @typedef {object} HistoryEntry
 * @property {string} run_id
 * @property {string} started_at
 * @property {string} model
 * @property {string} prompt
 * @property {string} answer
 * @property {string} status
 * @property {string} cost
 * @property {boolean} compressed
 */

const SEARCH_AFTER_MS = 200;
const SEARCHING_AFTER_MS = 400;
const NO_RUNS_YET = "No runs yet in this log.";
const NOTHING_FOUND = "Nothing matches. Texts older than 90 days are compressed; search them too?";

/** @type {Record<string, string>} */
const STATUS_WORDS = {
  failed: "failed", cancelled: "stopped", blocked: "blocked", interrupted: "interrupted",
  running: "running", over_budget: "not sent",
};

/** @param {View} view */
export function createHistoryDialog(view) {
  const ids = { list: newId(), row: newId() };
  const search = h("input", {
    type: "text", class: "llm-search", placeholder: "Search prompts and answers", "aria-label": "Search the log",
    role: "combobox", "aria-expanded": "true", "aria-controls": ids.list, "aria-autocomplete": "list",
    autocomplete: "off", spellcheck: "false",
  });
  const thisNotebook = h("input", { type: "checkbox" });
  const notebookLabel = h("span", {}, "This notebook only");
  const only = h("label", { class: "llm-here", hidden: true }, thisNotebook, notebookLabel);
  const line = h("p", { class: "llm-history-line", role: "status" });
  const list = h("ul", { id: ids.list, role: "listbox", "aria-label": "Runs" });
  const more = button("Load more", { class: "llm-link", hidden: true }, view.signal, () => load(true));
  const searchCompressed = button("Search them", { class: "llm-link", hidden: true }, view.signal, () => {
    state.compressed = true;
    load();
  });
  const dialog = createDialog(view, "History",
    h("div", { class: "llm-history-head" }, search, only, line, searchCompressed), list, more);
  dialog.element.classList.add("llm-drawer");
  const undo = createUndoLine(view);
  /** @type {{rows: HistoryEntry[], at: number, request: number, compressed: boolean}} */
  const state = { rows: [], at: -1, request: 0, compressed: false };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let typing;

  const paint = () => {
    const now = new Date();
    list.replaceChildren(...state.rows.map((row, at) => drawRow(row, at, now)));
    mark(Math.min(state.at, state.rows.length - 1));
  };
  /**
   * @param {HistoryEntry} row
   * @param {number} at
   * @param {Date} now
   */
  const drawRow = (row, at, now) => {
    const moment = formatMoment(row.started_at, now);
    const about = [moment, row.model.replace(/^[a-z-]+:/, ""), STATUS_WORDS[row.status] ?? "", row.cost];
    const attributes = { role: "option", id: `${ids.row}-${at}`, "aria-selected": "false", "data-status": row.status };
    const element = h("li", attributes,
      h("span", { class: "llm-past-prompt" }, row.prompt || (row.compressed ? "(compressed)" : "(no text stored)")),
      h("span", { class: "llm-past-answer" }, row.answer),
      h("span", { class: "llm-side", title: row.model }, about.filter(Boolean).join(" · ")));
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

  /** @param {boolean} further whether to append to the shown runs */
  const load = (further = false) => {
    const request = ++state.request;
    const late = setTimeout(() => {
      if (request === state.request) setText(line, "Searching the log…");
    }, SEARCHING_AFTER_MS);
    const query = {
      search: search.value, here: thisNotebook.checked, compressed: state.compressed,
      after: further ? (state.rows.at(-1) ?? null) : null,
    };
    view.request("history", query).then((page) => {
      if (request === state.request) show(page, further);
    }, (/** @type {Error} */ error) => {
      if (request === state.request) fail(error);
    }).finally(() => clearTimeout(late));
  };
  /**
   * @param {{rows: HistoryEntry[], more: boolean, notebook: string}} page
   * @param {boolean} further
   */
  const show = (page, further) => {
    const before = further ? state.rows.length : 0;
    state.rows = further ? [...state.rows, ...page.rows] : page.rows;
    if (!further) state.at = page.rows.length > 0 ? 0 : -1;
    more.hidden = !page.more;
    only.hidden = page.notebook === "" && !thisNotebook.checked;
    setText(notebookLabel, page.notebook ? `Only ${page.notebook}` : "This notebook only");
    paint();
    if (further) mark(before);
    const searched = search.value.trim() !== "" || thisNotebook.checked;
    const none = state.rows.length === 0;
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
    const row = state.rows[at];
    if (!row) return;
    view.flush();
    view.request("reopen", { run: row.run_id }).then(({ note }) => {
      dialog.close();
      const opened = `Opened the run of ${formatMoment(row.started_at, new Date())}.`;
      undo.offer([opened, note].filter(Boolean).join(" "), () => {
        view.request("undo_reopen").then(() => view.announce("The form was restored."), fail);
      });
    }, fail);
  };
  const scheduleSearch = () => {
    clearTimeout(typing);
    state.compressed = false;
    typing = setTimeout(load, SEARCH_AFTER_MS);
  };
  search.addEventListener("input", scheduleSearch, { signal: view.signal });
  thisNotebook.addEventListener("change", () => load(), { signal: view.signal });
  view.signal.addEventListener("abort", () => clearTimeout(typing));
  view.localKeys.set(search, ({ key }) => {
    const last = state.rows.length - 1;
    /** @type {Record<string, () => void>} */
    const acts = {
      ArrowDown: () => (state.at < last ? mark(state.at + 1) : more.hidden || load(true)),
      ArrowUp: () => mark(Math.max(0, state.at - 1)),
      PageDown: () => mark(Math.min(last, state.at + 8)),
      PageUp: () => mark(Math.max(0, state.at - 8)),
      Enter: () => reopen(state.at),
    };
    acts[key]?.();
    return key in acts;
  });
  const open = () => {
    dialog.open();
    search.focus();
    search.select();
    load();
  };
  return { element: dialog.element, undo: undo.element, open, close: dialog.close };
}

/**
 * A date and time in short: the date is left out for today, the year for this year.
 * @param {string} iso
 * @param {Date} now
 * @param {string} [locale]
 */
export function formatMoment(iso, now, locale) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return "";
  const time = at.toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit" });
  if (at.toDateString() === now.toDateString()) return time;
  /** @type {Intl.DateTimeFormatOptions} */
  const day = { day: "numeric", month: "short" };
  if (at.getFullYear() !== now.getFullYear()) day.year = "numeric";
  return `${at.toLocaleDateString(locale, day)} ${time}`;
}
