// What the panel says of drafts, of answers from another time and of a kernel that does not answer:
// sentences as pure functions of what is known.

/**
 * What the kernel says of the draft.
 * @typedef {object} DraftState
 * @property {"saved" | "restored" | "discarded" | "not kept"} [state]
 * @property {string | null} [at] ISO time
 * @property {string} [why] a line, where it is not kept
 */

/**
 * Answers that were found and not asked for now.
 * @typedef {object} SavedState
 * @property {number} [count]
 * @property {number} [wanted] how many there were
 * @property {string | null} [at] ISO time
 * @property {"kernel" | "log" | "notebook"} [where]
 */

/**
 * Whether the kernel hears. "gone": it ended, and another will not know this panel.
 * @typedef {"well" | "busy" | "away" | "gone"} Vitals
 */

export const GONE = "Saved answers. The kernel has stopped; run this cell to go on, nothing is paid again.";
export const BUSY = "The kernel is running another cell. Answers go on; to stop, interrupt the kernel (■): "
  + "the text so far is kept.";
export const BUSY_BEFORE = "The kernel is running another cell. What was pressed happens when it is done.";
export const AWAY = "The connection to the kernel is lost. Answers go on there, and show when it is back.";

const GONE_STATUSES = new Set(["restarting", "autorestarting", "dead", "terminating"]);

/**
 * What is shown beside the name, and what a press there does.
 * @param {DraftState} draft
 * @returns {{text: string, title: string, action: "Discard" | "Undo" | ""}}
 */
export function draftWords({ state, at, why = "" }) {
  if (state === "saved") return { text: "draft saved", title: at ? `Kept ${moment(at)}` : "", action: "" };
  if (state === "restored") {
    return { text: `draft${at ? ` of ${moment(at)}` : ""} restored`, title: "", action: "Discard" };
  }
  if (state === "discarded") return { text: "draft discarded", title: "", action: "Undo" };
  if (state === "not kept") return { text: "draft not kept", title: why, action: "" };
  return { text: "", title: "", action: "" };
}

/**
 * What is said of answers from another time, and what can be done about them.
 * @param {SavedState} saved
 * @returns {{text: string, canImport: boolean}}
 */
export function savedLine({ count = 0, wanted = count, at, where }) {
  if (count === 0) return { text: "", canImport: false };
  const many = count < wanted ? `${count} of ${wanted}` : `${count}`;
  const from = at ? ` from ${moment(at)}` : "";
  const said = `${many} saved answer${wanted === 1 ? "" : "s"}${from}`;
  if (where === "notebook") return { text: `${said} · in this notebook, not in your log`, canImport: true };
  return { text: `${said} · nothing paid`, canImport: false };
}

/**
 * A moment as people here write it: "21 Nov 17:52".
 * @param {string} iso
 */
export function moment(iso) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return "another time";
  const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  const time = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  return `${day} ${time}`;
}

/**
 * What a kernel's status means for the panel; what is gone stays gone.
 * @param {Vitals} before
 * @param {{status?: string, connection?: string, answered?: boolean}} seen
 * @returns {Vitals}
 */
export function vitals(before, { status = "", connection = "connected", answered = true }) {
  if (before === "gone" || GONE_STATUSES.has(status)) return "gone";
  if (connection !== "connected") return "away";
  if (answered) return "well";
  return status === "" || status === "busy" ? "busy" : before;
}

/**
 * @param {Vitals} now
 * @param {boolean} running whether answers are on their way
 */
export function vitalsLine(now, running) {
  if (now === "busy") return running ? BUSY : BUSY_BEFORE;
  return { well: "", away: AWAY, gone: GONE }[now];
}
