// The variables of the prompts and their sources: the notebook, a typed value, or a table of cases.

import { plural } from "./answer_state.js";
import { autoGrow, button, follow, h, setText, setValue, show } from "./dom.js";
import { createMenu } from "./overlay.js";
import { createUndo } from "./status_line.js";

/** @typedef {import("./dom.js").View} View */

/**
 * A variable as the kernel describes it.
 * @typedef {object} VariableInfo
 * @property {string} name
 * @property {"table" | "typed" | "notebook" | "missing"} source
 * @property {string} detail type or size: "412 tokens"
 * @property {string} preview the start of its value
 * @property {string} value the typed value
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
 * The source and size of a value from the notebook.
 * @param {VariableInfo} variable
 */
export function sourceText({ detail }) {
  return ["notebook", detail].filter(Boolean).join(" · ");
}

/**
 * A table in one line: "df · 12 rows · text, n".
 * @param {Table} table
 */
export function tableSummary({ label = "", rows = 0, columns = [] }) {
  const more = columns.length > COLUMNS_SHOWN ? [`${columns.length - COLUMNS_SHOWN} more`] : [];
  const listed = [...columns.slice(0, COLUMNS_SHOWN), ...more].join(", ");
  return [label, plural(rows, "row"), listed].filter(Boolean).join(" · ");
}

/**
 * @param {View} view
 * @param {HTMLElement} fallbackFocus gets the focus when a focused control disappears
 * @returns {{list: HTMLElement, cases: HTMLElement, problem: HTMLElement}}
 */
export function createVariables(view, fallbackFocus) {
  const list = h("ul", { class: "llm-vars", "aria-label": "Variables" });
  /** @type {Map<string, VariableRow>} */
  const rows = new Map();
  follow(view, ["variables"], () => {
    /** @type {VariableInfo[]} */
    const variables = view.model.get("variables");
    const names = new Set(variables.map((variable) => variable.name));
    for (const [name, row] of rows) {
      if (names.has(name)) continue;
      if (row.element.contains(document.activeElement)) fallbackFocus.focus();
      row.element.remove();
      rows.delete(name);
    }
    for (const [at, variable] of variables.entries()) {
      const row = rows.get(variable.name) ?? createVariable(view, variable.name, fallbackFocus);
      rows.set(variable.name, row);
      if (list.children[at] !== row.element) list.insertBefore(row.element, list.children[at] ?? null);
      row.show(variable);
    }
    list.hidden = variables.length === 0;
  });
  return { list, ...createCases(view, fallbackFocus) };
}

/** @typedef {{element: HTMLElement, show: (variable: VariableInfo) => void}} VariableRow */

/**
 * @param {View} view
 * @param {string} name
 * @param {HTMLElement} fallbackFocus
 * @returns {VariableRow}
 */
function createVariable(view, name, fallbackFocus) {
  const { signal } = view;
  const problem = h("span", { class: "llm-amber" });
  const typed = h("span", { class: "llm-side" });
  const preview = h("span", { class: "llm-preview" });
  const box = h("textarea", {
    dir: "auto",
    rows: 1, class: "llm-value", spellcheck: "false", "aria-label": `Value of ${name}`,
    placeholder: "Type a value",
  });
  const detail = h("span", { class: "llm-side" });
  const from = button("", { class: "llm-link llm-from", title: "Type a value instead" }, signal, () => {
    showSource("typed");
    box.focus();
  });
  const cross = button("×", { class: "llm-cross", "aria-label": `Take back the value of ${name}`, title: "Take back" },
    signal, () => {
      edit("");
      fallbackFocus.focus();
    });
  const element = h("li", { class: "llm-var" }, h("code", { title: name }, name),
    h("span", { class: "llm-source" }, problem, typed, detail, from), h("span", { class: "llm-given-value" }, preview, box), cross);
  const grow = autoGrow(view, box);
  /** @type {VariableInfo | null} */
  let pending = null;

  /** @param {string} text an empty text removes the typed value */
  const edit = (text) => {
    const { [name]: _, ...others } = view.model.get("values");
    view.edit("values", text === "" ? others : { ...others, [name]: text });
  };
  /** @param {VariableInfo["source"]} source */
  const showSource = (source) => {
    element.dataset.source = source;
    setText(typed, source === "typed" ? "typed" : "");
    setText(problem, source === "missing" ? "not defined" : "");
    detail.hidden = source !== "table";
    from.hidden = preview.hidden = source !== "notebook";
    box.hidden = source !== "typed" && source !== "missing";
    cross.hidden = source !== "typed";
  };
  /** @param {VariableInfo} variable */
  const paint = (variable) => {
    showSource(variable.source);
    problem.title = variable.problem;
    box.title = variable.problem;
    setText(detail, variable.detail);
    setText(from, sourceText(variable));
    from.setAttribute("aria-label", `${sourceText(variable)}. Type a value for ${name} instead`);
    setText(preview, variable.preview);
    preview.title = variable.preview;
    setValue(box, variable.value);
    grow();
  };
  box.addEventListener("input", () => edit(box.value), { signal });
  // Updates wait until the focus leaves the box, so that nothing moves while the user types.
  element.addEventListener("focusout", () => {
    if (pending) paint(pending);
    pending = null;
  }, { signal });
  return {
    element,
    show: (variable) => {
      if (document.activeElement === box) pending = variable;
      else paint(variable);
    },
  };
}

/**
 * Create the menu "+ Cases from a table", or show the selected table.
 * @param {View} view
 * @param {HTMLElement} fallbackFocus
 */
function createCases(view, fallbackFocus) {
  /** @param {string} name */
  const choose = (name) => {
    view.edit("cases", name);
    view.announce(`Every row of ${name} is a case.`);
  };
  const items = () => {
    /** @type {Table[]} */
    const tables = view.model.get("tables");
    if (tables.length === 0) return [{ label: "No table yet: make a DataFrame or a list of dicts", act: () => {} }];
    return tables.map((table) => ({ label: tableSummary(table), act: () => choose(table.label ?? "") }));
  };
  const open = createMenu(view, { text: "+ Cases from a table", name: "Cases from a table" }, items);
  const change = createMenu(view, { text: "Change", name: "Change the table of the cases" }, items);
  const which = h("span", {});
  const cross = button("×", { class: "llm-cross", "aria-label": "No cases", title: "No cases" }, view.signal, () => {
    const before = view.model.get("cases");
    view.edit("cases", null);
    fallbackFocus.focus();
    undo.offer("The cases were removed.", () => view.edit("cases", before));
  });
  const undo = createUndo(view, fallbackFocus);
  const chosen = h("span", { class: "llm-cases" },
    h("span", { class: "llm-side" }, "Cases ←"), which, change.element, cross);
  const problem = h("p", { class: "llm-problem" });
  follow(view, ["table", "cases"], () => {
    /** @type {Table} */
    const table = view.model.get("table");
    const cases = view.model.get("cases");
    const has = cases !== null && cases !== "";
    const named = typeof cases === "string" && /^\S+$/.test(cases) ? cases : "";
    setText(which, table.label ? tableSummary(table) : named);
    setText(problem, has ? (table.problem ?? "") : "");
    show(chosen, has, fallbackFocus);
    show(open.element, !has, fallbackFocus);
  });
  undo.dropAfterChange(["cases"]);
  return { cases: h("span", {}, open.element, chosen), problem };
}
