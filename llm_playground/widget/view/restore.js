// Drafts and answers from earlier sessions: the draft's status in the heading, and the line above saved
// answers.

import { plural } from "./answer_state.js";
import { button, follow, h, setText } from "./dom.js";
import { formatMoment } from "./history_list.js";

/** @typedef {import("./dom.js").View} View */

/**
 * Create the draft's status beside the name, with a button Discard or Undo.
 * @param {View} view
 */
export function createDraftStatus(view) {
  const words = h("span", { class: "llm-draft-words", "data-llm": "draft" });
  const act = button("", { class: "llm-link", hidden: true }, view.signal, () => {
    const name = act.textContent === "Undo" ? "restore_draft" : "discard_draft";
    view.request(name).catch(view.status.report);
  });
  const element = h("span", { class: "llm-draft" }, words, act);
  follow(view, ["draft"], () => {
    const { text, title, action } = draftStatus(view.model.get("draft"), new Date());
    setText(words, text && `· ${text}`);
    words.title = title;
    // Keep the button while it has the focus: after Discard it becomes Undo.
    setText(act, action);
    act.hidden = action === "" && document.activeElement !== act;
  });
  return element;
}

/**
 * Create the line above saved answers.
 * @param {View} view
 * @param {Element} head contains the answers' own line, which this one replaces
 */
export function createSavedLine(view, head) {
  const words = h("span", { "data-llm": "saved-line" });
  const importRuns = button("Import them", { class: "llm-link" }, view.signal, () => {
    view.request("import_runs").then(
      (count) => view.status.say(`${plural(count, "run")} imported.`),
      view.status.report);
  });
  const runFresh = button("Run fresh", { class: "llm-link" }, view.signal, () => view.run());
  const element = h("span", { class: "llm-saved" }, words, importRuns, runFresh);
  head.prepend(element);
  follow(view, ["saved"], () => {
    const { text, canImport } = savedLine(view.model.get("saved"), new Date());
    setText(words, text);
    words.title = text;
    importRuns.hidden = !canImport;
    element.hidden = text === "";
    head.classList.toggle("llm-has-saved", text !== "");
  });
}

/**
 * The draft's state as the kernel reports it.
 * @typedef {object} DraftState
 * @property {"saved" | "restored" | "discarded" | "not kept"} [state]
 * @property {string | null} [at] ISO time
 * @property {string} [why] one line, if it is not kept
 */

/**
 * Answers that were restored.
 * @typedef {object} SavedState
 * @property {number} [count]
 * @property {number} [wanted] the number of answers that were saved
 * @property {string | null} [at] ISO time
 * @property {"kernel" | "log" | "notebook"} [where]
 */

/**
 * The text beside the name, and the action that its button offers.
 * @param {DraftState} draft
 * @param {Date} now
 * @param {string} [locale]
 * @returns {{text: string, title: string, action: "Discard" | "Undo" | ""}}
 */
export function draftStatus({ state, at, why = "" }, now, locale) {
  const moment = formatMoment(at ?? "", now, locale);
  if (state === "saved") return { text: "draft saved", title: moment && `Saved ${moment}`, action: "" };
  if (state === "restored") return { text: `draft${moment && ` of ${moment}`} restored`, title: "", action: "Discard" };
  if (state === "discarded") return { text: "draft discarded", title: "", action: "Undo" };
  if (state === "not kept") return { text: "draft not kept", title: why, action: "" };
  return { text: "", title: "", action: "" };
}

/**
 * The line above restored answers, and whether they can be imported into the log.
 * @param {SavedState} saved
 * @param {Date} now
 * @param {string} [locale]
 * @returns {{text: string, canImport: boolean}}
 */
export function savedLine({ count = 0, wanted = count, at, where }, now, locale) {
  if (count === 0) return { text: "", canImport: false };
  const number = count < wanted ? `${count} of ${wanted}` : `${count}`;
  const moment = formatMoment(at ?? "", now, locale);
  const from = moment && ` from ${moment}`;
  const text = `${number} saved answer${wanted === 1 ? "" : "s"}${from}`;
  if (where === "notebook") return { text: `${text} · in this notebook, not in your log`, canImport: true };
  return { text: `${text} · nothing paid`, canImport: false };
}
