// The names in the prompts and where each gets its value: the notebook, a typed value, a table.

import { h, button, follow, setText, show } from "./dom.js";
import { createMenu } from "./menu.js";
import { growing, setValue } from "./textbox.js";

/** @typedef {import("./dom.js").View} View */

/**
 * @typedef {object} Chip
 * @property {string} name
 * @property {"table" | "typed" | "notebook" | "missing"} source
 * @property {string} detail what it is or how much: "412 tokens"
 * @property {string} preview its start
 * @property {string} value where it was typed
 * @property {string} problem
 */

/**
 * A table of the notebook.
 * @typedef {object} Table
 * @property {string} [label]
 * @property {number} [rows]
 * @property {string[]} [columns]
 * @property {string} [problem]
 */

const COLUMNS_SHOWN = 5;

/**
 * Where a value of the notebook comes from, and how much it is.
 * @param {Chip} chip
 */
export function fromWhere({ detail }) {
  return ["notebook", detail].filter(Boolean).join(" · ");
}

/**
 * A table in one line: df · 12 rows · text, n.
 * @param {Table} table
 */
export function tableText({ label = "", rows = 0, columns = [] }) {
  const more = columns.length > COLUMNS_SHOWN ? [`${columns.length - COLUMNS_SHOWN} more`] : [];
  const listed = [...columns.slice(0, COLUMNS_SHOWN), ...more].join(", ");
  return [label, `${rows.toLocaleString("en")} ${rows === 1 ? "row" : "rows"}`, listed].filter(Boolean).join(" · ");
}

/**
 * @param {View} view
 * @param {HTMLElement} heir gets the focus of what goes
 * @returns {{chips: HTMLElement, cases: HTMLElement, problem: HTMLElement}}
 */
export function createVariables(view, heir) {
  const list = h("ul", { class: "llm-vars", "aria-label": "Variables" });
  /** @type {Map<string, ChipRow>} */
  const rows = new Map();
  follow(view, ["variables"], () => {
    /** @type {Chip[]} */
    const chips = view.model.get("variables");
    const names = new Set(chips.map((chip) => chip.name));
    for (const [name, row] of rows) {
      if (names.has(name)) continue;
      if (row.element.contains(document.activeElement)) heir.focus();
      row.element.remove();
      rows.delete(name);
    }
    for (const [at, chip] of chips.entries()) {
      const row = rows.get(chip.name) ?? createVariable(view, chip.name, heir);
      rows.set(chip.name, row);
      if (list.children[at] !== row.element) list.insertBefore(row.element, list.children[at] ?? null);
      row.show(chip);
    }
    list.hidden = chips.length === 0;
  });
  return { chips: list, ...createCases(view, heir) };
}

/** @typedef {{element: HTMLElement, show: (chip: Chip) => void}} ChipRow */

/**
 * @param {View} view
 * @param {string} name
 * @param {HTMLElement} heir
 * @returns {ChipRow}
 */
function createVariable(view, name, heir) {
  const { signal } = view;
  const problem = h("span", { class: "llm-problem" });
  const preview = h("span", { class: "llm-preview" });
  const box = h("textarea", {
    rows: 1, class: "llm-value", spellcheck: "false", "aria-label": `Value of ${name}`, placeholder: "a value",
  });
  const said = h("span", { class: "llm-side" });
  const from = button("", { class: "llm-link llm-from", title: "Type a value instead" }, signal, () => {
    arrange("typed");
    box.focus();
  });
  const cross = button("×", { class: "llm-cross", "aria-label": `Take back the value of ${name}`, title: "Take back" },
    signal, () => {
      edit("");
      heir.focus();
    });
  const arrow = h("span", { class: "llm-arrow", "aria-hidden": "true" }, "←");
  const element = h("li", { class: "llm-var" }, h("code", {}, name), arrow, problem, said, from, preview, box, cross);
  const grow = growing(view, box);
  /** @type {Chip | null} */
  let waiting = null;

  /** @param {string} text empty takes the typed value back */
  const edit = (text) => {
    const { [name]: _, ...others } = view.model.get("values");
    view.edit("values", text === "" ? others : { ...others, [name]: text });
  };
  /** @param {Chip["source"]} source */
  const arrange = (source) => {
    element.dataset.source = source;
    arrow.hidden = source === "missing";
    problem.hidden = source !== "missing";
    said.hidden = source !== "table";
    from.hidden = preview.hidden = source !== "notebook";
    box.hidden = source !== "typed" && source !== "missing";
    cross.hidden = source !== "typed";
  };
  /** @param {Chip} chip */
  const paint = (chip) => {
    arrange(chip.source);
    setText(problem, chip.problem);
    setText(said, chip.detail);
    setText(from, fromWhere(chip));
    from.setAttribute("aria-label", `${fromWhere(chip)}. Type a value for ${name} instead`);
    setText(preview, chip.preview);
    preview.classList.toggle("llm-side", chip.detail !== "");
    preview.title = chip.preview;
    setValue(box, chip.value);
    grow();
  };
  box.addEventListener("input", () => edit(box.value), { signal });
  // What is typed in stays as it is while it is typed in: no line goes, nothing moves.
  element.addEventListener("focusout", () => {
    if (waiting) paint(waiting);
    waiting = null;
  }, { signal });
  return {
    element,
    show: (chip) => {
      if (document.activeElement === box) waiting = chip;
      else paint(chip);
    },
  };
}

/**
 * "+ Cases from a table", or which table it is.
 * @param {View} view
 * @param {HTMLElement} heir
 */
function createCases(view, heir) {
  /** @param {string | null} name */
  const choose = (name) => {
    view.edit("cases", name);
    view.say(name ? `Every row of ${name} is a case.` : "No cases.");
  };
  const offered = () => {
    /** @type {Table[]} */
    const tables = view.model.get("tables");
    if (tables.length === 0) return [{ label: "No table yet: make a DataFrame or a list of dicts", act: () => {} }];
    return tables.map((table) => ({ label: tableText(table), act: () => choose(table.label ?? null) }));
  };
  const open = createMenu(view, { text: "+ Cases from a table", name: "Cases from a table" }, offered);
  const change = createMenu(view, { text: "Change", name: "Change the table of the cases" }, offered);
  const which = h("span", {});
  const cross = button("×", { class: "llm-cross", "aria-label": "No cases", title: "No cases" }, view.signal, () => {
    choose(null);
    heir.focus();
  });
  const chosen = h("span", { class: "llm-cases" }, h("span", { class: "llm-side" }, "Cases ←"), which, change.element, cross);
  const problem = h("p", { class: "llm-problem" });
  follow(view, ["table", "cases"], () => {
    /** @type {Table} */
    const table = view.model.get("table");
    const given = view.model.get("cases");
    const has = given !== null && given !== "";
    const named = typeof given === "string" && /^\S+$/.test(given) ? given : "";
    setText(which, table.label ? tableText(table) : named);
    setText(problem, has ? (table.problem ?? "") : "");
    show(chosen, has, heir);
    show(open.element, !has, heir);
  });
  return { cases: h("span", {}, open.element, chosen), problem };
}
