// The price tag and the buttons beside it, as plain values: no DOM. Amounts come from the kernel.

import { plural } from "./panes.js";

/**
 * What the kernel says of the form as it is; price_tag.py says what each field means.
 * @typedef {object} PriceTag
 * @property {string} text
 * @property {"" | "amber" | "red"} tone
 * @property {string} details
 * @property {string} problem
 * @property {string} button
 * @property {number} calls
 * @property {number | null} fits
 * @property {boolean} second_press
 * @property {readonly string[]} unpriced
 * @property {boolean} override
 * @property {string} one
 */

/**
 * The kernel asks once more before it sends what could cost much. `ready` comes a moment after the
 * question: the second half of a double click is no answer.
 * @typedef {{one: boolean, confirmed: string, button: string, says: string, ready: boolean}} Question
 */

/**
 * @typedef {object} RunBar
 * @property {string} line
 * @property {"" | "amber" | "red"} tone
 * @property {string} hover
 * @property {string} problem
 * @property {{text: string, title: string, off: boolean}} run
 * @property {{text: string, title: string, off: boolean}} one
 * @property {boolean} setPrice whether "Set price" is offered
 * @property {boolean} override whether "Override…" is offered
 */

/** @type {PriceTag} */
const NOTHING_YET = {
  text: "", tone: "", details: "", problem: "", button: "Run", calls: 0, fits: null,
  second_press: false, unpriced: [], override: false, one: "",
};

/**
 * The tag with every field, whatever the trait holds before the kernel's first word.
 * @param {Partial<PriceTag>} said
 * @returns {PriceTag}
 */
export function priceTag(said) {
  return { ...NOTHING_YET, ...said };
}

/**
 * What the run bar shows.
 * @param {PriceTag} tag
 * @param {Question | null} question
 * @param {string} problem of the form or of the last Run
 * @param {boolean} running
 * @returns {RunBar}
 */
export function runBar(tag, question, problem, running) {
  const wrong = problem || tag.problem;
  const wait = question !== null && !question.ready;
  const asked = wrong === "" ? question : null;
  const all = asked !== null && !asked.one ? asked.button : tag.button;
  const one = asked !== null && asked.one ? asked.button : "Try one";
  return {
    line: asked !== null ? asked.says : wrong ? "" : tag.text,
    tone: asked !== null ? "amber" : tag.tone,
    hover: tag.details,
    problem: wrong,
    run: { text: all, title: runTitle(tag), off: running || tag.fits === 0 || (wait && !question.one) },
    one: { text: one, title: ["Ctrl+Shift+Enter", tag.one].filter(Boolean).join(" · "), off: running || (wait && question.one) },
    setPrice: asked === null && wrong === "" && tag.unpriced.length > 0,
    override: asked === null && wrong === "" && tag.override,
  };
}

/** @param {PriceTag} tag */
function runTitle({ fits, calls, second_press: asks }) {
  if (fits === 0) return "No call fits the budget";
  const what = fits === null ? "" : `sends the first ${plural(fits, "call")} that ${fits === 1 ? "fits" : "fit"}, of ${calls.toLocaleString("en")}`;
  return ["Ctrl+Enter", what, asks ? "asks once more" : ""].filter(Boolean).join(" · ");
}

/**
 * What a press of a button sends beside the form. The answer to a question says what was asked.
 * @param {PriceTag} tag
 * @param {Question | null} question
 * @param {boolean} one whether Try one was pressed
 * @returns {{one?: true, confirmed?: string, fits?: number}}
 */
export function pressed(tag, question, one) {
  const confirmed = question !== null && question.one === one ? { confirmed: question.confirmed } : {};
  if (one) return { one: true, ...confirmed };
  return tag.fits === null ? confirmed : { fits: tag.fits, ...confirmed };
}

/**
 * US dollars as typed: a comma is a point. NaN when it is no amount.
 * @param {string} typed
 */
export function amount(typed) {
  const plain = typed.trim().replace(/^\$/, "").replace(",", ".");
  return /^\d*\.?\d+$/.test(plain) ? Number(plain) : NaN;
}

/**
 * The line that keeps a price: for the first cell of a notebook.
 * @param {string} model
 * @param {string} input
 * @param {string} output
 */
export function keepingLine(model, input, output) {
  /** @param {string} typed */
  const shown = (typed) => (Number.isNaN(amount(typed)) ? "..." : String(amount(typed)));
  const rates = `"input_usd_per_mtok": ${shown(input)},\n    "output_usd_per_mtok": ${shown(output)}`;
  return `lp.configure(prices={${JSON.stringify(model)}: {\n    ${rates}}})`;
}
