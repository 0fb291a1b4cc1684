// The prompts: system prompt, earlier turns, user prompt, and the prompt's variables, images and files.

import { autoGrow, follow, h, newId, setValue } from "./dom.js";
import { createAttachments } from "./attachments.js";
import { createTurns } from "./turns.js";
import { createVariables } from "./variables.js";

/** @typedef {import("./dom.js").View} View */

/**
 * @param {View} view
 * @returns {{element: HTMLElement, box: HTMLTextAreaElement}} `box` is the user prompt's text box
 */
export function createPrompts(view) {
  const system = createTextBox(view, { trait: "system", label: "System prompt", rows: 1, placeholder: "(empty)" });
  foldWhileEmpty(view, system);
  const prompt = createTextBox(view, {
    trait: "prompt", label: "User prompt", rows: 6,
    placeholder: "Ask something. {{name}} takes a value from the notebook.",
  });
  const turns = createTurns(view, prompt.box);
  const variables = createVariables(view, prompt.box);
  const attachments = createAttachments(view, prompt.box);
  prompt.element.firstElementChild?.append(turns.line);
  const element = h("div", { class: "llm-prompts" },
    system.element, turns.list, prompt.element, attachments.element,
    h("div", { class: "llm-material" }, variables.list,
      h("span", { class: "llm-openers" }, variables.cases, attachments.opener)),
    variables.problem);
  attachments.acceptDrops(element);
  view.answerMenuItems.push({ label: "Go on from here", act: (number) => continueFrom(view, number, prompt.box) });
  return { element, box: prompt.box };
}

/**
 * Add an answer and its prompt to the turns, which leaves the prompt empty for the next question.
 * @param {View} view
 * @param {number} number of the answer
 * @param {HTMLElement} prompt
 */
async function continueFrom({ request, status }, number, prompt) {
  try {
    await request("add_turns", { number });
    prompt.focus();
    status.say("The answer was added to the turns. Ask the next question.");
  } catch (error) {
    status.report(/** @type {Error} */ (error));
  }
}

/**
 * Show an empty text box as one line until it gets the focus or a text.
 * @param {View} view
 * @param {{element: HTMLElement, box: HTMLTextAreaElement}} text
 */
function foldWhileEmpty({ model, signal }, { element, box }) {
  const unfold = () => element.classList.remove("llm-folded");
  element.classList.toggle("llm-folded", box.value === "");
  box.addEventListener("focus", unfold, { signal });
  model.on("change:system", unfold);
  signal.addEventListener("abort", () => model.off("change:system", unfold));
}

/**
 * Create a text area that edits a trait.
 * @param {View} view
 * @param {{trait: string, label: string, rows: number, placeholder: string}} options
 * @param {...Node} beside placed to the right of the label
 */
export function createTextBox(view, { trait, label, rows, placeholder }, ...beside) {
  const id = newId();
  const box = h("textarea", { id, dir: "auto", rows, placeholder, "data-llm": trait, spellcheck: "false" });
  const element = h("div", { class: `llm-text llm-${trait}` },
    h("div", { class: "llm-text-head" }, h("label", { for: id, class: "llm-form-head" }, label), ...beside), box);
  const grow = autoGrow(view, box);
  box.addEventListener("input", () => view.edit(trait, box.value), { signal: view.signal });
  follow(view, [trait], () => {
    setValue(box, view.model.get(trait));
    grow();
  });
  return { element, box };
}
