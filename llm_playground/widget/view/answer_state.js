// The state of the answers: values and pure functions, without DOM, model or clock.

/**
 * One answer. `state` is "waiting", "running" or the run's final status.
 * @typedef {object} Pane
 * @property {number} number counted from 1 over the whole Run
 * @property {string} model
 * @property {Label} label what distinguishes it from the other answers
 * @property {string} state
 * @property {readonly Block[]} blocks the finished parts of the answer
 * @property {string} tail the unfinished text after them
 * @property {string} digest hash of the finished answer; empty before its end
 * @property {number} revision increases when blocks are replaced, not when blocks are added
 * @property {string} reasoning
 * @property {string} thought duration of the reasoning: "3.1 s"
 * @property {string} status progress before the first text, in words
 * @property {boolean} waits whether it waits for a retry, which can be started now
 * @property {string} footer
 * @property {string} hover details of the footer, shown as its tooltip
 * @property {boolean} cut whether it ended at the limit of tokens
 * @property {string[]} notices its error, or that it was cut off
 * @property {readonly SuggestedAction[]} actions actions that may help
 * @property {import("./api_keys.js").FailedKey} key the missing or refused key that it failed for, if any
 */

/**
 * "case 3", "prompt 2", the values of a sweep ("temperature 0.2"), and the text of the case or
 * prompt. What the answers do not differ in is missing.
 * @typedef {{case?: string, prompt?: string, parameters?: string, text?: string}} Label
 */

/**
 * A finished part of an answer as HTML, sanitized by the kernel: text, or a part that is no text,
 * such as a picture, a folded result or the sources.
 * @typedef {string | {part: string}} Block
 */

/**
 * A retry with other parameters: "Retry with 2,048 · at most $0.0042".
 * @typedef {{label: string, changes: Record<string, unknown>}} SuggestedAction
 */

/**
 * The changes to one pane in a message: new blocks and text, and any other changed fields. `tail` is
 * appended to the tail, or replaces it if there are new blocks. `again` restarts the answer; `whole`
 * replaces all its blocks.
 * @typedef {Partial<Omit<Pane, "revision">> & {number: number, again?: boolean,
 *   whole?: readonly Block[]}} PaneChange
 */

/**
 * All answers of one Run. `run` increases whenever the panel shows other answers, and is 0 before the
 * first.
 * @typedef {object} AnswerSet
 * @property {number} run
 * @property {boolean} running
 * @property {string} summary cost and duration; while it runs, the cost so far
 * @property {readonly Pane[]} panes
 * @property {Baseline | null} baseline
 */

/**
 * The pinned answer, number `answer` of the Run `run`, and what each shown answer is compared with.
 * Answers of another Run than the shown one have negative numbers.
 * @typedef {object} Baseline
 * @property {number} run
 * @property {number} answer
 * @property {boolean} isOwn whether it is one of the answers that are shown
 * @property {string} title "Run 2, gpt-6-luna"
 * @property {import("./history_list.js").Differences | null} [differs] between the form of its Run and that of
 *   the shown one
 * @property {ReadonlyMap<number, number>} of for an answer's number that of the baseline's answer
 * @property {readonly Pane[]} panes empty if `isOwn`
 */

/**
 * The baseline as the kernel sends it, with positive numbers.
 * @typedef {Omit<Baseline, "of" | "panes"> & {of: [number, number][], panes: PaneChange[]}} BaselineState
 */

/**
 * @typedef {{type: "run", run: number, panes: PaneChange[], baseline: BaselineState | null}
 *   | {type: "events", run: number, panes: PaneChange[], running?: boolean, summary?: string}
 *   | {type: "snapshot", view: string | null, run: number, running: boolean, summary: string,
 *      panes: PaneChange[], baseline: BaselineState | null}
 *   | {type: "baseline", run: number, baseline: BaselineState | null}} Message
 */

/** @type {AnswerSet} */
export const NO_ANSWERS = { run: 0, running: false, summary: "", panes: [], baseline: null };

/** @type {Pane} */
const BLANK = {
  number: 0, model: "", label: {}, state: "waiting", blocks: [], tail: "", revision: 0, digest: "",
  reasoning: "", thought: "", status: "", waits: false, footer: "", hover: "", cut: false, notices: [], actions: [], key: {},
};

/**
 * Apply one message from the kernel. Messages about answers that were shown before change nothing.
 * @param {AnswerSet} answers
 * @param {Message} message
 * @returns {AnswerSet}
 */
export function applyMessage(answers, message) {
  if (message.type === "events") {
    return message.run === answers.run ? applyEvents(answers, message) : answers;
  }
  if (message.run < answers.run) return answers;
  const baseline = readBaseline(message.baseline);
  if (message.type === "baseline") return message.run === answers.run ? { ...answers, baseline } : answers;
  const panes = message.panes.map((pane) => applyChange(BLANK, pane));
  if (message.type === "run") return { run: message.run, running: true, summary: "", panes, baseline };
  return { run: message.run, running: message.running, summary: message.summary, panes, baseline };
}

/**
 * @param {BaselineState | null} state
 * @returns {Baseline | null}
 */
function readBaseline(state) {
  if (!state) return null;
  const sign = state.isOwn ? 1 : -1;
  const panes = state.panes.map((pane) => applyChange(BLANK, { ...pane, number: -pane.number }));
  return { ...state, of: new Map(state.of.map(([number, other]) => [number, sign * other])), panes };
}

/**
 * The answer of the baseline that an answer is compared with; null if there is none, or it is itself.
 * @param {AnswerSet} answers
 * @param {number} number
 * @returns {Pane | null}
 */
export function counterpartOf({ panes, baseline }, number) {
  const other = baseline?.of.get(number);
  if (!baseline || other === undefined || other === number) return null;
  return [...panes, ...baseline.panes].find((pane) => pane.number === other) ?? null;
}

/**
 * Mark all unfinished answers as interrupted, as the kernel has stopped. Their text is kept.
 * @param {AnswerSet} answers
 * @returns {AnswerSet}
 */
export function interruptAll(answers) {
  const panes = answers.panes.map((pane) =>
    isOpen(pane) ? { ...pane, state: "interrupted", status: "", waits: false } : pane);
  return { ...answers, running: false, panes };
}

/**
 * @param {AnswerSet} answers
 * @param {Extract<Message, {type: "events"}>} message
 * @returns {AnswerSet}
 */
function applyEvents(answers, message) {
  const changes = new Map(message.panes.map((change) => [change.number, change]));
  return {
    ...answers,
    running: message.running ?? answers.running,
    summary: message.summary ?? answers.summary,
    panes: answers.panes.map((pane) => applyChange(pane, changes.get(pane.number))),
  };
}

/**
 * Append blocks, tail and reasoning; replace all other fields.
 * @param {Pane} pane
 * @param {PaneChange | undefined} change
 * @returns {Pane}
 */
function applyChange(pane, change) {
  if (change === undefined) return pane;
  const { again = false, reasoning = "", blocks = [], tail = "", whole, ...rest } = change;
  const { model, label, revision } = pane;
  const base = again ? { ...BLANK, model, label, revision: revision + 1 } : pane;
  const next = { ...base, ...rest, reasoning: base.reasoning + reasoning };
  if (whole) return { ...next, blocks: whole, tail: "", revision: base.revision + 1 };
  if (blocks.length === 0) return { ...next, tail: base.tail + tail };
  return { ...next, blocks: [...base.blocks, ...blocks], tail };
}

/**
 * Whether an answer has any text.
 * @param {Pane} pane
 */
export function hasText(pane) {
  return pane.blocks.length > 0 || pane.tail !== "";
}

/**
 * Whether an answer is waiting or running.
 * @param {Pane} pane
 */
export function isOpen(pane) {
  return pane.state === "waiting" || pane.state === "running";
}

const NO_FAILURES = new Set(["completed", "cancelled"]);

/**
 * Whether an answer failed, was blocked or interrupted, or was not sent.
 * @param {Pane} pane
 */
export function hasFailed(pane) {
  return !isOpen(pane) && !NO_FAILURES.has(pane.state);
}

/**
 * Which answers are shown: all, or only those that failed, or differ from the baseline. An answer that
 * has not ended is always shown.
 * @typedef {{failed: boolean, different: boolean}} Filter
 */

/**
 * @param {AnswerSet} answers
 * @param {Filter} only
 * @returns {Set<number>} the numbers of the answers that are hidden
 */
export function hiddenAnswers(answers, only) {
  const isHidden = (/** @type {Pane} */ pane) => {
    if (isOpen(pane)) return false;
    const other = only.different ? counterpartOf(answers, pane.number) : null;
    return (only.failed && !hasFailed(pane)) || (other !== null && pane.digest === other.digest);
  };
  return new Set(answers.panes.filter(isHidden).map(({ number }) => number));
}

/**
 * The line above the answers: the progress and cost so far, or the final summary.
 * @param {AnswerSet} answers
 */
export function progress(answers) {
  if (!answers.running) return answers.summary;
  /** @param {(pane: Pane) => boolean} test */
  const count = (test) => answers.panes.filter(test).length;
  const parts = /** @type {[number, string][]} */ ([
    [count((pane) => !isOpen(pane)), "done"],
    [count((pane) => pane.state === "running"), "streaming"],
    [count((pane) => pane.state === "waiting"), "waiting"],
  ]);
  const counts = parts.filter(([number]) => number > 0).map(([number, word]) => `${number} ${word}`);
  return [plural(answers.panes.length, "call"), counts.join(", "), answers.summary].filter(Boolean).join(" · ");
}

/**
 * Sentences for a screen reader about the answers that ended between two states; empty if none did.
 * @param {AnswerSet} before
 * @param {AnswerSet} after
 */
export function announcement(before, after) {
  if (after.run !== before.run) {
    return after.running ? `${plural(after.panes.length, "call")} sent.` : "";
  }
  const previous = new Map(before.panes.map((pane) => [pane.number, pane]));
  const ended = after.panes.filter((pane) => {
    const old = previous.get(pane.number);
    return old !== undefined && isOpen(old) && !isOpen(pane);
  });
  const sentences = ended.map((pane) => `Answer ${pane.number} ${endingOf(pane)}`);
  if (before.running && !after.running && after.panes.length > 1) sentences.push("All done.");
  return sentences.join(" ");
}

/** @type {Record<string, string>} */
const ENDING_TEXTS = {
  completed: "is complete.", cancelled: "was stopped.", blocked: "was blocked.",
  interrupted: "was interrupted.", over_budget: "was not sent: over budget.",
};

/** @param {Pane} pane */
function endingOf(pane) {
  const ending = ENDING_TEXTS[pane.state] ?? "failed.";
  return [ending, ...pane.notices].join(" ");
}

/**
 * A count with its noun: "1 call", "2 calls".
 * @param {number} count
 * @param {string} noun
 */
export function plural(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * A model's name without its provider: "llama3:8b" of "ollama:llama3:8b".
 * @param {string} model
 */
export function shortModel(model) {
  return model.slice(model.indexOf(":") + 1);
}
