// One text that is typed into two windows at once.

/**
 * The span in which two texts differ: how many characters are the same before and after it.
 * @param {string} before
 * @param {string} after
 */
function difference(before, after) {
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < most - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end += 1;
  return { start, end };
}

/**
 * Where a position in a text is after the text was changed elsewhere.
 * @param {string} before
 * @param {string} after
 * @param {number} position
 */
export function movedPosition(before, after, position) {
  const { start, end } = difference(before, after);
  if (position <= start) return position;
  if (position >= before.length - end) return position + after.length - before.length;
  return Math.min(position, after.length - end);
}

/**
 * Both changes of a text: what was typed here, in the text as it was changed in another window.
 * @param {string} base the text before both changes
 * @param {string} local
 * @param {string} remote
 */
export function mergedText(base, local, remote) {
  if (remote === base) return local;
  const { start, end } = difference(base, local);
  const typed = local.slice(start, local.length - end);
  const [from, to] = [start, base.length - end].map((position) => movedPosition(base, remote, position));
  const theirs = difference(base, remote);
  const isIncluded = typed !== "" && theirs.start === start && remote.slice(start, remote.length - theirs.end).includes(typed);
  return isIncluded ? remote : remote.slice(0, from) + typed + remote.slice(to);
}

/**
 * The value of a field that was changed here and in another window: both changes of a text, otherwise
 * the change made here, which is the later one.
 * @param {unknown} base
 * @param {unknown} local
 * @param {unknown} remote
 */
export function mergedValue(base, local, remote) {
  const areTexts = typeof base === "string" && typeof local === "string" && typeof remote === "string";
  return areTexts ? mergedText(base, local, remote) : local;
}
