// What the answers area knows, as plain values and pure functions: no DOM, no model, no time.

/**
 * One answer. `state` is "waiting", "running" or the run's final status.
 * @typedef {object} Pane
 * @property {number} number counted from 1 over the whole Run
 * @property {string} model
 * @property {string} label what is special about it: "temperature 0.2"; empty for none
 * @property {string} state
 * @property {readonly string[]} blocks the finished parts of the answer as HTML, sanitised in the
 *   kernel
 * @property {string} tail what follows them, not finished yet
 * @property {string} digest the same for the same answer; empty before its end
 * @property {number} edition grows when the blocks are others than before, not only more
 * @property {string} reasoning
 * @property {string} thought how long it reasoned: "3.1 s"
 * @property {string} status what is going on before there is text, in words
 * @property {boolean} waits whether it waits for its next attempt, which may as well begin now
 * @property {string} footer
 * @property {string} hover the footer's second half
 * @property {string[]} notices what has to be said of it: its error, that it was cut off
 * @property {readonly Remedy[]} remedies what could be done about it
 */

/**
 * Another try with other parameters: "Retry with 2,048 · at most $0.0042".
 * @typedef {{label: string, changes: Record<string, unknown>}} Remedy
 */

/**
 * What one message says of one pane: its number, new blocks and text, and whichever fields changed.
 * `tail` is more of the tail; with new blocks it is all of it. `again` begins the answer anew;
 * `whole` are all its blocks where they differ from those that came one by one.
 * @typedef {Partial<Omit<Pane, "edition">> & {number: number, again?: boolean,
 *   whole?: readonly string[]}} PaneChange
 */

/**
 * All answers of one Run. `run` counts the Runs of this playground; 0 is before the first.
 * @typedef {object} Sheet
 * @property {number} run
 * @property {boolean} running
 * @property {string} summary what it cost and took; while it runs: what it cost so far
 * @property {readonly Pane[]} panes
 */

/**
 * @typedef {{type: "run", run: number, panes: PaneChange[]}
 *   | {type: "events", run: number, panes: PaneChange[], running?: boolean, summary?: string}
 *   | {type: "snapshot", view: string | null, run: number, running: boolean, summary: string,
 *      panes: PaneChange[]}} Message
 */

/** @typedef {{model: string, panes: Pane[]}} Column */

/** @type {Sheet} */
export const EMPTY_SHEET = { run: 0, running: false, summary: "", panes: [] };

/** @type {Pane} */
const BLANK = {
  number: 0, model: "", label: "", state: "waiting", blocks: [], tail: "", edition: 0, digest: "",
  reasoning: "", thought: "", status: "", waits: false, footer: "", hover: "", notices: [], remedies: [],
};

/**
 * The sheet after one message from the kernel. Messages of an older Run change nothing.
 * @param {Sheet} sheet
 * @param {Message} message
 * @returns {Sheet}
 */
export function receive(sheet, message) {
  if (message.type === "events") {
    return message.run === sheet.run ? withEvents(sheet, message) : sheet;
  }
  if (message.run < sheet.run) return sheet;
  const panes = message.panes.map((pane) => changed(BLANK, pane));
  if (message.type === "run") return { run: message.run, running: true, summary: "", panes };
  return { run: message.run, running: message.running, summary: message.summary, panes };
}

/**
 * The sheet after the kernel's end: what was open is interrupted, with the text so far.
 * @param {Sheet} sheet
 * @returns {Sheet}
 */
export function cutShort(sheet) {
  const panes = sheet.panes.map((pane) => isOpen(pane) ? { ...pane, state: "interrupted", status: "", waits: false } : pane);
  return { ...sheet, running: false, panes };
}

/**
 * @param {Sheet} sheet
 * @param {Extract<Message, {type: "events"}>} message
 * @returns {Sheet}
 */
function withEvents(sheet, message) {
  const changes = new Map(message.panes.map((change) => [change.number, change]));
  return {
    run: sheet.run,
    running: message.running ?? sheet.running,
    summary: message.summary ?? sheet.summary,
    panes: sheet.panes.map((pane) => changed(pane, changes.get(pane.number))),
  };
}

/**
 * Blocks, tail and reasoning are appended, everything else is replaced.
 * @param {Pane} pane
 * @param {PaneChange | undefined} change
 * @returns {Pane}
 */
function changed(pane, change) {
  if (change === undefined) return pane;
  const { again = false, reasoning = "", blocks = [], tail = "", whole, ...rest } = change;
  const { model, label, edition } = pane;
  const base = again ? { ...BLANK, model, label, edition: edition + 1 } : pane;
  const grown = { ...base, ...rest, reasoning: base.reasoning + reasoning };
  if (whole) return { ...grown, blocks: whole, tail: "", edition: base.edition + 1 };
  if (blocks.length === 0) return { ...grown, tail: base.tail + tail };
  return { ...grown, blocks: [...base.blocks, ...blocks], tail };
}

/**
 * Whether an answer shows any text.
 * @param {Pane} pane
 */
export function hasText(pane) {
  return pane.blocks.length > 0 || pane.tail !== "";
}

/**
 * Panes grouped by model, models in the order of their first answer.
 * @param {readonly Pane[]} panes
 * @returns {Column[]}
 */
export function columns(panes) {
  /** @type {Map<string, Pane[]>} */
  const groups = new Map();
  for (const pane of panes) {
    const group = groups.get(pane.model);
    if (group) group.push(pane);
    else groups.set(pane.model, [pane]);
  }
  return [...groups].map(([model, group]) => ({ model, panes: group }));
}

/** @param {Pane} pane */
export function isOpen(pane) {
  return pane.state === "waiting" || pane.state === "running";
}

/**
 * The line over the answers: what is done, what is going on and what it costs, or the summary.
 * @param {Sheet} sheet
 */
export function progress(sheet) {
  if (!sheet.running) return sheet.summary;
  /** @param {(pane: Pane) => boolean} test */
  const count = (test) => sheet.panes.filter(test).length;
  const parts = /** @type {[number, string][]} */ ([
    [count((pane) => !isOpen(pane)), "done"],
    [count((pane) => pane.state === "running"), "streaming"],
    [count((pane) => pane.state === "waiting"), "waiting"],
  ]);
  const said = parts.filter(([many]) => many > 0).map(([many, word]) => `${many} ${word}`);
  return [plural(sheet.panes.length, "call"), said.join(", "), sheet.summary].filter(Boolean).join(" · ");
}

/**
 * Whole sentences for a screen reader: what ended since the last sheet. Empty when nothing did.
 * @param {Sheet} before
 * @param {Sheet} after
 */
export function announcement(before, after) {
  if (after.run !== before.run) {
    return after.running ? `${plural(after.panes.length, "call")} sent.` : "";
  }
  const was = new Map(before.panes.map((pane) => [pane.number, pane]));
  const ended = after.panes.filter((pane) => {
    const old = was.get(pane.number);
    return old !== undefined && isOpen(old) && !isOpen(pane);
  });
  const sentences = ended.map((pane) => `Answer ${pane.number} ${endingOf(pane)}`);
  if (before.running && !after.running && after.panes.length > 1) sentences.push("All done.");
  return sentences.join(" ");
}

/** @type {Record<string, string>} */
const ENDINGS = {
  completed: "is complete.", cancelled: "was stopped.", blocked: "was blocked.",
  interrupted: "was interrupted.", over_budget: "was not sent: over budget.",
};

/** @param {Pane} pane */
function endingOf(pane) {
  const said = ENDINGS[pane.state] ?? "failed.";
  return [said, ...pane.notices].join(" ");
}

/**
 * The answer an arrow, Home or End leads to from answer `number`.
 * @param {Column[]} grid
 * @param {number} number
 * @param {string} key
 * @returns {number}
 */
export function neighbour(grid, number, key) {
  const x = grid.findIndex((column) => column.panes.some((pane) => pane.number === number));
  const column = grid[x];
  if (!column) return number;
  const y = column.panes.findIndex((pane) => pane.number === number);
  const last = grid[grid.length - 1];
  /** @type {Record<string, Pane | undefined>} */
  const target = {
    ArrowUp: column.panes[y - 1],
    ArrowDown: column.panes[y + 1],
    ArrowLeft: besides(grid[x - 1], y),
    ArrowRight: besides(grid[x + 1], y),
    Home: grid[0]?.panes[0],
    End: last?.panes[last.panes.length - 1],
  };
  return target[key]?.number ?? number;
}

/**
 * @param {Column | undefined} column
 * @param {number} y
 */
function besides(column, y) {
  return column?.panes[Math.min(y, column.panes.length - 1)];
}

/**
 * @param {number} count
 * @param {string} noun
 */
export function plural(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
