// The notebook around a view: the copy of the answers in its cell's outputs, which the view hides while it
// exists, the scrolling of these outputs, and what the notebook stores of the widget.

import { follow, h } from "./dom.js";
import { SAVED_MODULE } from "./saved_view.js";

/** @typedef {import("./dom.js").Model} Model */
/** @typedef {import("./dom.js").View} View */

const COPY_AFTER_MS = 1_500;
const VIEW_MIME = "application/vnd.jupyter.widget-view+json";
const SCROLLED = "jp-mod-outputsScrolled";

/**
 * The widget's whole model, of which anywidget passes a part.
 * @typedef {object} WidgetModel
 * @property {boolean} comm_live whether it is connected to a widget of a kernel
 * @property {(dropDefaults?: boolean) => Record<string, unknown>} get_state
 */

/**
 * A cell in JupyterLab's notebook model.
 * @typedef {object} Cell
 * @property {Outputs} [outputs] of a code cell
 * @property {(name: string) => unknown} getMetadata
 */

/**
 * Hide the notebook's copy of the answers while this view exists.
 * @param {View} view
 * @param {HTMLElement} el
 */
export function hideSavedCopy({ model, signal }, el) {
  const copy = `[data-llm="saved"][data-id="${CSS.escape(model.get("saved_id"))}"]`;
  const style = h("style", {}, `.jp-OutputArea-child:has(${copy}), ${copy} { display: none; }`);
  el.append(style);
  signal.addEventListener("abort", () => style.remove());
}

/**
 * The outputs of a cell in JupyterLab's notebook model.
 * @typedef {object} Outputs
 * @property {number} length
 * @property {(at: number) => {toJSON: () => any}} get
 * @property {(at: number, output: unknown) => void} set
 * @property {(output: unknown) => void} add
 */

/**
 * Add the copy to the notebook if the kernel's message did not: JupyterLab drops the message on a page
 * that was loaded after the cell was executed.
 * @param {View} view
 */
export function repairSavedCopy(view) {
  const { model, signal } = view;
  const id = model.get("saved_id");
  /** @param {number} count */
  const repair = async (count) => {
    const areas = outputAreas(model);
    const exists = areas.some((area) => outputsContaining(area, `data-id="${id}" data-count="${count}"`).length > 0);
    if (signal.aborted || exists || model.get("saved_count") !== count) return;
    const { widget, data, metadata } = await view.request("saved_output");
    const output = { output_type: "display_data", data, metadata };
    for (const area of areas.filter((outputs) => outputsContaining(outputs, widget).length > 0)) {
      const [at] = outputsContaining(area, `data-id="${id}"`);
      if (at === undefined) area.add(output);
      else area.set(at, output);
    }
  };
  follow(view, ["saved_count"], () => {
    const count = model.get("saved_count");
    if (count > 0) setTimeout(() => repair(count).catch(() => {}), COPY_AFTER_MS);
  });
}

/**
 * The indices of outputs that contain a text in their HTML or as the id of a widget.
 * @param {Outputs} outputs
 * @param {string} text
 */
function outputsContaining(outputs, text) {
  const found = [];
  for (let at = 0; at < outputs.length; at += 1) {
    const data = outputs.get(at).toJSON().data ?? {};
    const content = [data["text/html"] ?? "", data[VIEW_MIME]?.model_id ?? ""].flat().join("");
    if (content.includes(text)) found.push(at);
  }
  return found;
}

/**
 * The outputs of all cells, if the front end gives views access to them.
 * @param {Model} model
 */
function outputAreas(model) {
  return cellsOf(model).flatMap(({ outputs }) => outputs ?? []);
}

/**
 * The cells of the notebook, if the front end gives views access to them.
 * @param {Model} model
 * @returns {Cell[]}
 */
function cellsOf(model) {
  const { widget_manager: manager } = /** @type {any} */ (model);
  return [...(manager?.context?.model?.cells ?? [])];
}

/**
 * The widget's whole model; null where the front end does not give views access to it.
 * @param {Model} model
 * @returns {Promise<WidgetModel | null>}
 */
export async function wholeModel(model) {
  const { widget_manager: manager } = /** @type {any} */ (model);
  try {
    return await manager.get_model(model.get("widget_id"));
  } catch {
    return null;
  }
}

// What a notebook stores of a widget so that a page without its kernel can show what to do.
const STORED = [
  "_model_module", "_model_module_version", "_model_name", "_view_module", "_view_module_version", "_view_name",
  "_anywidget_id", "layout", "name", "saved_count", "widget_id",
];

/**
 * Let the notebook store little of the widget. Otherwise each panel would add its whole program, and
 * what was typed, to a notebook that is saved with the state of its widgets.
 * @param {WidgetModel} whole
 */
export function storeLittle(whole) {
  const state = whole.get_state;
  whole.get_state = () => {
    const all = state.call(whole);
    const stored = STORED.filter((name) => name in all).map((name) => [name, all[name]]);
    return { ...Object.fromEntries(stored), _esm: SAVED_MODULE };
  };
}

/**
 * Keep the outputs of the view's cell at their full height. Notebook 7 puts tall outputs into a box that
 * scrolls, with a class on the cell; a person's own choice of such a box is also in the cell's metadata.
 * @param {View} view
 * @param {HTMLElement} el
 */
export function keepFullHeight({ model, signal }, el) {
  const expand = () => {
    const cell = el.closest(".jp-CodeCell");
    if (!(cell instanceof HTMLElement) || !cell.classList.contains(SCROLLED)) return;
    const index = Number(cell.dataset.windowedListIndex ?? NaN);
    if (cellsOf(model)[index]?.getMetadata("scrolled") !== true) cell.classList.remove(SCROLLED);
  };
  const observer = new MutationObserver(expand);
  // The view is attached to the page after it is made.
  const start = () => {
    const cell = el.closest(".jp-CodeCell");
    if (signal.aborted || cell === null) return;
    observer.observe(cell, { attributes: true, attributeFilter: ["class"] });
    expand();
  };
  requestAnimationFrame(start);
  signal.addEventListener("abort", () => observer.disconnect());
}
