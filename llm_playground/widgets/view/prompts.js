// The prompt side of the form: system prompt, turns, user prompt, its values and pictures.

import { h } from "./dom.js";
import { createPictures } from "./pictures.js";
import { createTextBox } from "./textbox.js";
import { createTurns } from "./turns.js";
import { createVariables } from "./variables.js";

/** @typedef {import("./dom.js").View} View */

/**
 * @param {View} view
 * @returns {{element: HTMLElement, box: HTMLTextAreaElement}} and the user prompt's box
 */
export function createPrompts(view) {
  const system = createTextBox(view, { trait: "system", label: "System prompt", rows: 1, placeholder: "(empty)" });
  const prompt = createTextBox(view, {
    trait: "prompt", label: "User prompt", rows: 6,
    placeholder: "Ask something. {{name}} takes a value from the notebook.",
  });
  const turns = createTurns(view, prompt.box);
  const variables = createVariables(view, prompt.box);
  const pictures = createPictures(view, prompt.box);
  prompt.element.firstElementChild?.append(turns.line);
  const element = h("div", { class: "llm-prompts" },
    system.element, turns.list, prompt.element, pictures.element,
    h("div", { class: "llm-material" }, variables.chips,
      h("span", { class: "llm-openers" }, variables.cases, pictures.opener)),
    variables.problem);
  pictures.takeDrops(element);
  view.answerItems.push({ label: "Go on from here", act: (number) => goOn(view, number, prompt.box) });
  return { element, box: prompt.box };
}

/**
 * Make an answer and what it answered turns, so that the prompt is free for the next question.
 * @param {View} view
 * @param {number} number the answer's
 * @param {HTMLElement} heir
 */
async function goOn({ ask, say }, number, heir) {
  try {
    await ask("turns.add", { number });
    heir.focus();
    say("The answer is a turn now. Ask the next question.");
  } catch (error) {
    say(/** @type {Error} */ (error).message);
  }
}
