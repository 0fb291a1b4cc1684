// The dialog "Open": finds saved prompts, shows what changed between two versions, and opens one.

import { createDiffPart, h, newId, setText } from "./dom.js";
import { formatMoment } from "./history_list.js";
import { createDialog } from "./overlay.js";
import { createUndo } from "./status_line.js";

/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./dom.js").DiffPart} DiffPart */

/**
 * A version of a saved prompt; `at` is ISO 8601, `text` the start of its user prompt.
 * @typedef {{version: number, note: string, by: string, at: string, model: string, text: string}} Version
 */

/** @typedef {{name: string, versions: readonly Version[]}} SavedPrompt the newest version first */

/** @typedef {{name: string, version: Version, isNewest: boolean, earlier: number}} PromptRow */

/** @typedef {{part: string, pieces: readonly DiffPart[]}} PartChange */

const NO_PROMPTS = "No prompt is saved in this log yet. Save as… saves this form.";

/**
 * The rows of the list: the newest version of each prompt that has every typed word, and the earlier
 * versions of those that are unfolded.
 * @param {readonly SavedPrompt[]} prompts
 * @param {ReadonlySet<string>} unfolded names
 * @param {string} typed
 * @returns {PromptRow[]}
 */
export function promptRows(prompts, unfolded, typed) {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const found = prompts.filter(({ name, versions }) => {
    const texts = versions.flatMap(({ note, by, text, model }) => [note, by, text, model]);
    const all = [name, ...texts].join(" ").toLowerCase();
    return words.every((word) => all.includes(word));
  });
  return found.flatMap(({ name, versions }) => versions.slice(0, unfolded.has(name) ? undefined : 1)
    .map((version, at) => ({ name, version, isNewest: at === 0, earlier: at === 0 ? versions.length - 1 : 0 })));
}

/**
 * The line below a version: its number, time, author and note.
 * @param {Version} version
 * @param {Date} now
 * @param {string} [locale]
 */
export function versionLine({ version, at, by, note }, now, locale) {
  return [`version ${version}`, formatMoment(at, now, locale), by, note].filter(Boolean).join(" · ");
}

/**
 * Create the dialog. `onOpened` is called with the name of the prompt that was opened.
 * @param {View} view
 * @param {(name: string) => void} onOpened
 */
export function createOpenDialog(view, onOpened) {
  const ids = { list: newId(), row: newId(), than: newId() };
  const search = h("input", {
    type: "text", class: "llm-search", placeholder: "Find a saved prompt", "aria-label": "Find a saved prompt",
    role: "combobox", "aria-expanded": "true", "aria-controls": ids.list, "aria-autocomplete": "list",
    autocomplete: "off", spellcheck: "false",
  });
  const line = h("p", { class: "llm-history-line", role: "status" });
  const list = h("ul", { id: ids.list, role: "listbox", "aria-label": "Saved prompts" });
  const detail = createVersionDetail(view, ids.than, () => paintDetail());
  const dialog = createDialog(view, "Open", h("div", { class: "llm-saved-prompts" },
    h("div", { class: "llm-prompt-list" }, search, line, list,
      h("p", { class: "llm-side" }, "Enter opens, → shows earlier versions.")), detail.element));
  dialog.element.classList.add("llm-wide", "llm-open");
  const undo = createUndo(view);
  /** @type {{prompts: readonly SavedPrompt[], unfolded: Set<string>, rows: PromptRow[], at: number}} */
  const state = { prompts: [], unfolded: new Set(), rows: [], at: -1 };

  const paint = () => {
    state.rows = promptRows(state.prompts, state.unfolded, search.value);
    const now = new Date();
    list.replaceChildren(...state.rows.map((row, at) => drawRow(row, at, now)));
    setText(line, state.rows.length > 0 ? "" : state.prompts.length > 0 ? "Nothing matches." : NO_PROMPTS);
    mark(Math.max(0, Math.min(state.at, state.rows.length - 1)));
  };
  /** @param {PromptRow} row @param {number} at @param {Date} now */
  const drawRow = ({ name, version, isNewest, earlier }, at, now) => {
    const more = earlier > 0 ? [h("span", { class: "llm-side" }, `${earlier} earlier`)] : [];
    const head = h("span", { class: "llm-past-prompt" }, name);
    const element = h("li", { role: "option", id: `${ids.row}-${at}`, "aria-selected": "false" },
      ...(isNewest ? [h("span", { class: "llm-prompt-name" }, head, ...more)] : []),
      h("span", { class: "llm-side" }, versionLine(version, now)));
    element.classList.toggle("llm-earlier", !isNewest);
    element.addEventListener("click", () => mark(at), { signal: view.signal });
    element.addEventListener("dblclick", () => open(at), { signal: view.signal });
    return element;
  };
  /** @param {number} at */
  const mark = (at) => {
    state.at = state.rows.length > 0 ? at : -1;
    for (const [index, element] of [...list.children].entries()) {
      element.setAttribute("aria-selected", String(index === state.at));
    }
    const marked = list.children[state.at];
    if (marked) search.setAttribute("aria-activedescendant", marked.id);
    else search.removeAttribute("aria-activedescendant");
    marked?.scrollIntoView({ block: "nearest" });
    const row = state.rows[state.at];
    detail.choose(row, state.prompts.find(({ name }) => name === row?.name)?.versions ?? []);
    paintDetail();
  };
  const paintDetail = () => detail.paint(state.rows[state.at], () => open(state.at));
  /** @param {boolean} isOpen */
  const unfold = (isOpen) => {
    const row = state.rows[state.at];
    if (!row) return;
    if (isOpen) state.unfolded.add(row.name);
    else state.unfolded.delete(row.name);
    state.at = state.rows.findIndex(({ name }) => name === row.name);
    paint();
  };
  /** @param {number} at */
  const open = (at) => {
    const row = state.rows[at];
    if (!row) return;
    const before = view.formTraits.map((trait) => /** @type {const} */ ([trait, view.model.get(trait)]));
    view.request("open_prompt", { name: row.name, version: row.version.version }).then(() => {
      dialog.close();
      onOpened(row.name);
      undo.offer(`Opened ${row.name}, version ${row.version.version}.`, () => {
        for (const [trait, value] of before) view.edit(trait, value);
      });
    }, (/** @type {Error} */ error) => setText(line, error.message));
  };
  search.addEventListener("input", () => {
    state.at = 0;
    paint();
  }, { signal: view.signal });
  view.localKeys.set(search, ({ key, target }) => {
    const isAtEnd = target instanceof HTMLInputElement && target.selectionStart === target.value.length;
    /** @type {Record<string, () => void>} */
    const acts = {
      ArrowDown: () => mark(Math.min(state.rows.length - 1, state.at + 1)),
      ArrowUp: () => mark(Math.max(0, state.at - 1)),
      Enter: () => open(state.at),
      ...(isAtEnd && { ArrowRight: () => unfold(true) }),
      ...(isAtEnd && state.rows.some((row) => state.unfolded.has(row.name)) && { ArrowLeft: () => unfold(false) }),
    };
    acts[key]?.();
    return key in acts;
  });
  const show = () => {
    state.at = 0;
    dialog.open();
    search.focus();
    search.select();
    view.request("saved_prompts").then((prompts) => {
      state.prompts = prompts;
      paint();
    }, (/** @type {Error} */ error) => setText(line, error.message));
  };
  return { element: dialog.element, open: show, close: dialog.close };
}

/**
 * Create the part that shows the texts of a version, with what changed since another version.
 * @param {View} view
 * @param {string} id
 * @param {() => void} onChange called when another version was chosen to compare with
 */
function createVersionDetail(view, id, onChange) {
  const heading = h("h5", {});
  const than = h("select", { id });
  const compared = h("span", { class: "llm-than" }, h("label", { for: id, class: "llm-label" }, "Changes since"), than);
  const openButton = h("button", { type: "button", class: "llm-run" }, "Open");
  const parts = h("div", { class: "llm-version-parts", tabindex: "0", role: "region", "aria-label": "Version" });
  const element = h("div", { class: "llm-version-detail" },
    h("div", { class: "llm-version-head" }, heading, compared, openButton), parts);
  let lastRequest = 0;
  let onOpen = () => {};
  than.addEventListener("change", onChange, { signal: view.signal });
  openButton.addEventListener("click", () => onOpen(), { signal: view.signal });
  /** Offer the versions to compare with: the one before this, if there is one. @param {PromptRow | undefined} row @param {readonly Version[]} versions */
  const choose = (row, versions) => {
    const before = versions.find(({ version }) => row !== undefined && version < row.version.version);
    than.replaceChildren(...versions.filter(({ version }) => version !== row?.version.version)
      .map(({ version }) => h("option", { value: version }, `version ${version}`)), h("option", { value: "" }, "nothing"));
    than.value = before ? String(before.version) : "";
    compared.hidden = versions.length < 2;
  };
  /** @param {PromptRow | undefined} row @param {() => void} open */
  const paint = (row, open) => {
    const request = ++lastRequest;
    element.hidden = row === undefined;
    if (!row) return;
    onOpen = open;
    const { name, version: { version } } = row;
    setText(heading, `${name}@${version}`);
    view.request("prompt_changes", { name, version, than: than.value === "" ? null : Number(than.value) }).then(
      (changes) => request === lastRequest && parts.replaceChildren(...changes.map(createPartChange)),
      (/** @type {Error} */ error) => request === lastRequest
        && parts.replaceChildren(h("p", { class: "llm-problem" }, error.message)));
  };
  return { element, choose, paint };
}

/** @param {PartChange} change */
function createPartChange({ part, pieces }) {
  return h("section", {}, h("h6", {}, part), h("div", { class: "llm-difference" }, ...pieces.map(createDiffPart)));
}
