// The price preview and the buttons beside it: pure functions. The amounts come from the kernel.

import { plural } from "./answer_state.js";

/**
 * The kernel's price preview of the form as it is.
 * @typedef {object} PricePreview
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
 * The kernel asks for confirmation before an expensive Run. `ready` is set a moment later, so that the
 * second half of a double click does not confirm.
 * @typedef {{one: boolean, confirmed: string, button: string, message: string, ready: boolean}} Confirmation
 */

/**
 * @typedef {object} RunBarState
 * @property {string} line
 * @property {"" | "amber" | "red"} tone
 * @property {string} hover
 * @property {string} problem
 * @property {{text: string, title: string, off: boolean}} run
 * @property {{text: string, title: string, off: boolean}} one
 * @property {boolean} setPrice whether "Set price" is offered
 * @property {boolean} override whether "Override…" is offered
 */

/** @type {PricePreview} */
const UNKNOWN = {
  text: "", tone: "", details: "", problem: "", button: "Run", calls: 0, fits: null,
  second_press: false, unpriced: [], override: false, one: "",
};

/**
 * The preview with all fields; before the kernel's first update the trait has none.
 * @param {Partial<PricePreview>} known
 * @returns {PricePreview}
 */
export function pricePreview(known) {
  return { ...UNKNOWN, ...known };
}

/**
 * The content of the run bar.
 * @param {PricePreview} preview
 * @param {Confirmation | null} confirmation
 * @param {string} problem with the form or the last Run
 * @param {boolean} running
 * @returns {RunBarState}
 */
export function runBarState(preview, confirmation, problem, running) {
  const message = problem || preview.problem;
  const tooSoon = confirmation !== null && !confirmation.ready;
  const pending = message === "" ? confirmation : null;
  const all = pending !== null && !pending.one ? pending.button : preview.button;
  const one = pending !== null && pending.one ? pending.button : "Try one";
  return {
    line: pending !== null ? pending.message : message ? "" : preview.text,
    tone: pending !== null ? "amber" : preview.tone,
    hover: preview.details,
    problem: message,
    run: { text: all, title: runTitle(preview), off: running || preview.fits === 0 || (tooSoon && !confirmation.one) },
    one: {
      text: one,
      title: ["Ctrl+Shift+Enter", preview.one].filter(Boolean).join(" · "),
      off: running || (tooSoon && confirmation.one),
    },
    setPrice: pending === null && message === "" && preview.unpriced.length > 0,
    override: pending === null && message === "" && preview.override,
  };
}

/** @param {PricePreview} preview */
function runTitle({ fits, calls, second_press: confirms }) {
  if (fits === 0) return "No call fits the budget";
  const what = fits === null ? ""
    : `sends the first ${plural(fits, "call")} that ${fits === 1 ? "fits" : "fit"}, of ${calls.toLocaleString("en")}`;
  return ["Ctrl+Enter", what, confirms ? "asks for confirmation" : ""].filter(Boolean).join(" · ");
}

/**
 * The arguments that a button sends with the form; a confirmation names what it confirms.
 * @param {PricePreview} preview
 * @param {Confirmation | null} confirmation
 * @param {boolean} one whether Try one was pressed
 * @returns {{one?: true, confirmed?: string, fits?: number}}
 */
export function runArguments(preview, confirmation, one) {
  const confirmed = confirmation !== null && confirmation.one === one ? { confirmed: confirmation.confirmed } : {};
  if (one) return { one: true, ...confirmed };
  return preview.fits === null ? confirmed : { fits: preview.fits, ...confirmed };
}

/**
 * Parse US dollars, with a decimal point or comma; NaN for anything else.
 * @param {string} typed
 */
export function parseAmount(typed) {
  const plain = typed.trim().replace(/^\$/, "").replace(",", ".");
  return /^\d*\.?\d+$/.test(plain) ? Number(plain) : NaN;
}

/**
 * The code that sets a price permanently, for the first cell of a notebook.
 * @param {string} model
 * @param {string} input
 * @param {string} output
 */
export function configureLine(model, input, output) {
  /** @param {string} typed */
  const shown = (typed) => (Number.isNaN(parseAmount(typed)) ? "..." : String(parseAmount(typed)));
  const rates = `"input_usd_per_mtok": ${shown(input)},\n    "output_usd_per_mtok": ${shown(output)}`;
  return `lp.configure(prices={${JSON.stringify(model)}: {\n    ${rates}}})`;
}
