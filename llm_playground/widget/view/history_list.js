// The list of the drawer "History": one row per Run, which unfolds to its answers. Values and pure
// functions, without DOM.

import { plural, shortModel } from "./answer_state.js";

/**
 * One Run of the log: what one press of Run, one `%%llm` or one `lp.compare` sent.
 * @typedef {object} HistoryRun
 * @property {string} run_id one of its runs
 * @property {string} started_at ISO time
 * @property {string} key with `started_at` its place in the list
 * @property {Record<string, number>} models the number of answers by model
 * @property {Record<string, number>} statuses the number of answers by status
 * @property {string} source "widget", "magic" or "api"
 * @property {string} prompt
 * @property {string} answer the first one, or the first that matches the search
 * @property {string} cost
 * @property {boolean} compressed
 * @property {Differences | null} differs from the form as it is now; null if that is not known
 */

/**
 * What differs between two forms: a `line` ("temperature 0.2 → 0.9 · system prompt"), empty if nothing does,
 * and all of it, one difference a line.
 * @typedef {{line: string, in_full: string}} Differences
 */

/**
 * One answer of an unfolded Run. `prompt` is empty if all answers of the Run have the same.
 * @typedef {{run_id: string, model: string, status: string, prompt: string, answer: string, cost: string}} HistoryAnswer
 */

/**
 * A row of the list: a Run, or an answer of the Run `of`.
 * @typedef {{run: HistoryRun, answer: null} | {run: HistoryRun, answer: HistoryAnswer}} HistoryItem
 */

/** @type {Record<string, string>} */
const STATUS_WORDS = {
  failed: "failed", cancelled: "stopped", blocked: "blocked", interrupted: "interrupted",
  running: "running", over_budget: "not sent",
};

/** @type {Record<string, string>} */
const SOURCES = { magic: "%%llm", api: "code" };

/**
 * The rows of the list: every Run, and the answers of those that are unfolded.
 * @param {readonly HistoryRun[]} runs
 * @param {ReadonlyMap<string, readonly HistoryAnswer[]>} unfolded answers by the Run's `run_id`
 * @returns {HistoryItem[]}
 */
export function historyItems(runs, unfolded) {
  return runs.flatMap((run) => [
    { run, answer: null },
    ...(unfolded.get(run.run_id) ?? []).map((answer) => ({ run, answer })),
  ]);
}

/**
 * What a Run was: "3 models × 2", "gpt-6-luna × 3", "gpt-6-luna"; models with different counts:
 * "3 models, 5 answers".
 * @param {Record<string, number>} models
 */
export function modelsLine(models) {
  const [names, counts] = [Object.keys(models), Object.values(models)];
  const named = names.length === 1 ? shortModel(names[0] ?? "") : `${names.length} models`;
  const [first = 0] = counts;
  if (counts.some((count) => count !== first)) {
    const sum = counts.reduce((total, count) => total + count, 0);
    return `${named}, ${plural(sum, "answer")}`;
  }
  return first > 1 ? `${named} × ${first.toLocaleString("en")}` : named;
}

/**
 * Which answers did not end as usual: "failed", "1 of 6 failed, 2 of 6 stopped"; empty if all did.
 * @param {Record<string, number>} statuses
 */
export function statusLine(statuses) {
  const total = Object.values(statuses).reduce((sum, count) => sum + count, 0);
  return Object.entries(statuses)
    .filter(([status]) => status in STATUS_WORDS)
    .map(([status, count]) => (count === total ? STATUS_WORDS[status]
      : `${count.toLocaleString("en")} of ${total.toLocaleString("en")} ${STATUS_WORDS[status]}`))
    .join(", ");
}

/**
 * The line below a row: "3 models × 2 · $0.0012 · 14:02 · 1 of 6 failed", of an answer its model,
 * its cost and its status.
 * @param {HistoryItem} item
 * @param {Date} now
 * @param {string} [locale]
 */
export function aboutLine({ run, answer }, now, locale) {
  const parts = answer ? [shortModel(answer.model), answer.cost, STATUS_WORDS[answer.status]]
    : [modelsLine(run.models), run.cost, formatMoment(run.started_at, now, locale), SOURCES[run.source],
      statusLine(run.statuses)];
  return parts.filter(Boolean).join(" · ");
}

/**
 * What differs, in a line; empty if that is not known.
 * @param {Differences | null} differs
 * @param {string} same what is said if nothing differs
 */
export function differsLine(differs, same) {
  if (!differs) return "";
  return differs.line ? `differs: ${differs.line}` : same;
}

/**
 * Whether all answers of a Run, or one answer, came to no text.
 * @param {HistoryItem} item
 */
export function isFailure({ run, answer }) {
  const statuses = answer ? [answer.status] : Object.keys(run.statuses);
  return statuses.every((status) => ["failed", "blocked", "over_budget"].includes(status));
}

/**
 * A date and time in short: the date is left out for today, the year for this year.
 * @param {string} iso
 * @param {Date} now
 * @param {string} [locale]
 */
export function formatMoment(iso, now, locale) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return "";
  const time = at.toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit" });
  if (at.toDateString() === now.toDateString()) return time;
  /** @type {Intl.DateTimeFormatOptions} */
  const day = { day: "numeric", month: "short" };
  if (at.getFullYear() !== now.getFullYear()) day.year = "numeric";
  return `${at.toLocaleDateString(locale, day)} ${time}`;
}
