// The history drawer: runs of the log, searched; any of them opens in the panel.

import { h, button, newId, setText } from "./dom.js";
import { createDialog } from "./dialog.js";
import { createUndoLine } from "./undo.js";
import { saidMoment } from "./timeline.js";

/** @typedef {import("./dom.js").View} View */

/**
 * One run in short (history.py).
 * @typedef {object} Past
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
const SAY_AFTER_MS = 400;
const NO_RUNS_YET = "No runs yet in this log.";
const NOTHING_FOUND = "Nothing matches. Texts older than 90 days are compressed; search them too?";

/** @type {Record<string, string>} */
const STATUS_WORDS = {
  failed: "failed", cancelled: "stopped", blocked: "blocked", interrupted: "interrupted",
  running: "running", over_budget: "not sent",
};

/** @param {View} view */
export function createHistory(view) {
  const ids = { list: newId(), row: newId() };
  const search = h("input", {
    type: "text", class: "llm-search", placeholder: "Search prompts and answers", "aria-label": "Search the log",
    role: "combobox", "aria-expanded": "true", "aria-controls": ids.list, "aria-autocomplete": "list", autocomplete: "off",
    spellcheck: "false",
  });
  const here = h("input", { type: "checkbox" });
  const hereName = h("span", {}, "This notebook only");
  const only = h("label", { class: "llm-here", hidden: true }, here, hereName);
  const line = h("p", { class: "llm-history-line", role: "status" });
  const list = h("ul", { id: ids.list, role: "listbox", "aria-label": "Runs" });
  const more = button("Load more", { class: "llm-link", hidden: true }, view.signal, () => load(true));
  const deeper = button("Search them", { class: "llm-link", hidden: true }, view.signal, () => {
    state.compressed = true;
    load();
  });
  const dialog = createDialog(view, "History",
    h("div", { class: "llm-history-head" }, search, only, line, deeper), list, more);
  dialog.element.classList.add("llm-drawer");
  const undo = createUndoLine(view);
  /** @type {{rows: Past[], at: number, asked: number, compressed: boolean}} */
  const state = { rows: [], at: -1, asked: 0, compressed: false };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let typing;

  const paint = () => {
    const now = new Date();
    list.replaceChildren(...state.rows.map((row, at) => drawRow(row, at, now)));
    mark(Math.min(state.at, state.rows.length - 1));
  };
  /**
   * @param {Past} row
   * @param {number} at
   * @param {Date} now
   */
  const drawRow = (row, at, now) => {
    const about = [saidMoment(row.started_at, now), row.model.replace(/^[a-z-]+:/, ""), STATUS_WORDS[row.status] ?? "", row.cost];
    const element = h("li", { role: "option", id: `${ids.row}-${at}`, "aria-selected": "false", "data-status": row.status },
      h("span", { class: "llm-past-prompt" }, row.prompt || (row.compressed ? "(compressed)" : "(no text stored)")),
      h("span", { class: "llm-past-answer" }, row.answer),
      h("span", { class: "llm-side", title: row.model }, about.filter(Boolean).join(" · ")));
    element.addEventListener("click", () => reopen(at), { signal: view.signal });
    return element;
  };
  /** @param {number} at */
  const mark = (at) => {
    state.at = at;
    for (const [place, element] of [...list.children].entries()) element.setAttribute("aria-selected", String(place === at));
    const marked = list.children[at];
    if (marked) search.setAttribute("aria-activedescendant", marked.id);
    else search.removeAttribute("aria-activedescendant");
    if (at <= 0) dialog.element.scrollTop = 0;
    else marked?.scrollIntoView({ block: "nearest" });
  };

  /** @param {boolean} further whether what is shown stays and more follows */
  const load = (further = false) => {
    const asked = ++state.asked;
    const late = setTimeout(() => asked === state.asked && setText(line, "Searching the log…"), SAY_AFTER_MS);
    const given = {
      search: search.value, here: here.checked, compressed: state.compressed,
      after: further ? (state.rows.at(-1) ?? null) : null,
    };
    view.ask("history", given).then((told) => {
      if (asked === state.asked) show(told, further);
    }, (/** @type {Error} */ error) => {
      if (asked === state.asked) fail(error);
    }).finally(() => clearTimeout(late));
  };
  /**
   * @param {{rows: Past[], more: boolean, notebook: string}} told
   * @param {boolean} further
   */
  const show = (told, further) => {
    const before = further ? state.rows.length : 0;
    state.rows = further ? [...state.rows, ...told.rows] : told.rows;
    if (!further) state.at = told.rows.length > 0 ? 0 : -1;
    more.hidden = !told.more;
    only.hidden = told.notebook === "" && !here.checked;
    setText(hereName, told.notebook ? `Only ${told.notebook}` : "This notebook only");
    paint();
    if (further) mark(before);
    const searched = search.value.trim() !== "" || here.checked;
    const none = state.rows.length === 0;
    deeper.hidden = !(none && searched && !state.compressed);
    if (!none) setText(line, "");
    else if (!searched) setText(line, NO_RUNS_YET);
    else setText(line, state.compressed ? "Nothing matches, in compressed texts neither." : NOTHING_FOUND);
    if (further) search.focus();
  };
  /** @param {Error} error */
  const fail = (error) => {
    setText(line, error.message);
    deeper.hidden = true;
  };

  /** @param {number} at */
  const reopen = (at) => {
    const row = state.rows[at];
    if (!row) return;
    view.settle();
    view.ask("reopen", { run: row.run_id }).then(({ note }) => {
      dialog.close();
      const opened = `Opened the run of ${saidMoment(row.started_at, new Date())}.`;
      undo.offer([opened, note].filter(Boolean).join(" "), () => {
        view.ask("put_back", {}).then(() => view.say("The form is as it was."), fail);
      });
    }, fail);
  };
  const searchSoon = () => {
    clearTimeout(typing);
    state.compressed = false;
    typing = setTimeout(load, SEARCH_AFTER_MS);
  };
  search.addEventListener("input", searchSoon, { signal: view.signal });
  here.addEventListener("change", () => load(), { signal: view.signal });
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
