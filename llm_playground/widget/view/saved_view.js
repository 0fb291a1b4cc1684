// A view without its kernel, in a notebook that was saved with the state of its widgets.

/** @typedef {import("./dom.js").Model} Model */

/**
 * Show what to do. The notebook stores this function's source, so it uses nothing outside itself.
 * @param {{model: Pick<Model, "get">, el: HTMLElement}} context
 */
export function renderSaved({ model, el }) {
  const hasAnswers = model.get("saved_count") > 0;
  const line = document.createElement("p");
  line.dataset.llm = "vitals";
  line.setAttribute("role", "status");
  line.textContent = hasAnswers
    ? "Saved answers. The kernel has stopped; run this cell to go on, nothing is paid again."
    : `${model.get("name") ?? "Playground"}: the kernel has stopped; run this cell to go on.`;
  line.style.margin = "4px 0 8px";
  el.append(line);
}

// The module that a notebook stores as the widget's program.
export const SAVED_MODULE = `export default { render: ${renderSaved} };`;
