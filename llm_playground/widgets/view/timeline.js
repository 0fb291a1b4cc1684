// Where things stand on a timeline: pure functions over plain values.

/**
 * What the kernel tells of one answer's time, in ms after the first attempt was sent.
 * @typedef {object} Timeline
 * @property {{kind: string, from: number, ms: number, label: string, why?: string}[]} spans
 * @property {[number, number][]} ticks each the begin of a bin and how many deltas came in it
 * @property {number} tick_ms how wide a bin is
 * @property {number} total_ms
 */

/** @typedef {{left: number, width: number, height: number}} Mark in parts of 1 */

/**
 * The spans as parts of the whole; one too short to be seen is as wide as `least`.
 * @param {Timeline} timeline
 * @param {number} least
 * @returns {{left: number, width: number}[]}
 */
export function spanMarks({ spans, total_ms: total }, least = 0.004) {
  return spans.map(({ from, ms }) => {
    const width = Math.min(1, Math.max(least, total > 0 ? ms / total : 1));
    return { left: Math.max(0, Math.min(total > 0 ? from / total : 0, 1 - width)), width };
  });
}

/**
 * The deltas as bars: the more came at a time, the higher. The square root lets one delta among
 * hundreds still be seen.
 * @param {Timeline} timeline
 * @returns {Mark[]}
 */
export function tickMarks({ ticks, tick_ms: width, total_ms: total }) {
  const most = Math.max(1, ...ticks.map(([, count]) => count));
  return ticks.map(([from, count]) => ({
    left: total > 0 ? Math.min(1, from / total) : 0,
    width: total > 0 ? Math.min(1, width / total) : 0,
    height: Math.sqrt(count / most),
  }));
}

/**
 * A moment as people say it: the time alone today, with the day otherwise, with the year of another.
 * @param {string} iso
 * @param {Date} now
 * @param {string} [locale]
 */
export function saidMoment(iso, now, locale) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return "";
  const time = at.toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit" });
  if (at.toDateString() === now.toDateString()) return time;
  /** @type {Intl.DateTimeFormatOptions} */
  const day = { day: "numeric", month: "short" };
  if (at.getFullYear() !== now.getFullYear()) day.year = "numeric";
  return `${at.toLocaleDateString(locale, day)} ${time}`;
}
