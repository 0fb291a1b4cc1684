// Which models the picker offers for what was typed: pure functions over plain values.

/**
 * One model on offer. `reason` says what is missing when it cannot be used now, `where` that it runs
 * near, `context` how long a prompt may be ("128k"), `about` what it is for, in a line.
 * @typedef {{model: string, label: string, provider: string, vendor: string, where: string,
 *   available: boolean, reason: string, price: string, context: string, badges: readonly string[],
 *   about: string, deprecated: boolean}} Choice
 */

/**
 * The models of one provider; `more` are left out, until more is typed.
 * @typedef {{provider: string, vendor: string, note: string, choices: Choice[], more: number}} Group
 */

const MOST = 50;
const FIRST_OF_EACH = 5;

/**
 * The choices that match every word typed, by name, provider or what they can.
 * @param {readonly Choice[]} choices
 * @param {string} typed
 * @returns {Choice[]}
 */
export function matching(choices, typed) {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  return choices.filter((choice) => {
    const said = [choice.model, choice.label, choice.vendor, choice.where, choice.price, ...choice.badges];
    const text = said.join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/**
 * What the open picker lists: by provider, usable ones first; in each the kernel's order, newest
 * first, and deprecated ones last. Nothing typed: the first few of each.
 * @param {readonly Choice[]} choices
 * @param {string} typed
 * @returns {Group[]}
 */
export function offered(choices, typed) {
  /** @type {Map<string, Choice[]>} */
  const byProvider = new Map();
  for (const choice of matching(choices, typed)) {
    const before = byProvider.get(choice.provider) ?? [];
    byProvider.set(choice.provider, [...before, choice]);
  }
  const sorted = [...byProvider.values()].toSorted((a, b) => usable(b) - usable(a));
  const each = typed.trim() === "" && sorted.length > 1 ? FIRST_OF_EACH : MOST;
  let room = MOST;
  return sorted.flatMap((all) => {
    const shown = all.toSorted((a, b) => Number(a.deprecated) - Number(b.deprecated)).slice(0, Math.min(each, room));
    room -= shown.length;
    return all[0] ? [groupOf(all[0], shown, all.length - shown.length)] : [];
  });
}

/** @param {readonly Choice[]} choices */
function usable(choices) {
  return Number(choices.some(({ available }) => available));
}

/**
 * @param {Choice} first
 * @param {Choice[]} choices
 * @param {number} more
 * @returns {Group}
 */
function groupOf({ provider, vendor, where, reason }, choices, more) {
  return { provider, vendor, note: where && !reason ? where : reason, choices, more };
}

/**
 * What an open picker goes on to show when the kernel has found more: every line stays where it is,
 * with what is now known of it, and new ones follow.
 * @param {readonly Group[]} shown
 * @param {readonly Group[]} found
 * @param {readonly Choice[]} choices everything that is known now
 * @returns {Group[]}
 */
export function grown(shown, found, choices) {
  const known = new Map(choices.map((choice) => [choice.model, choice]));
  const names = new Set(shown.flatMap((group) => group.choices.map(({ model }) => model)));
  const stay = shown.map((group) => {
    const lines = group.choices.map((choice) => known.get(choice.model) ?? choice);
    return lines[0] ? groupOf(lines[0], lines, group.more) : group;
  });
  const fresh = found.map((group) => {
    return { ...group, more: 0, choices: group.choices.filter(({ model }) => !names.has(model)) };
  });
  return [...stay, ...fresh.filter((group) => group.choices.length > 0)];
}

/**
 * What the picker says when nothing matches.
 * @param {readonly Choice[]} choices
 * @param {string} typed
 */
export function noMatch(choices, typed) {
  const close = closest(choices, typed).map((choice) => choice.label);
  const hint = close.length > 0 ? ` Closest: ${close.join(", ")}.` : "";
  return `No model matches "${typed}".${hint}`;
}

/**
 * Up to three choices that share most pairs of letters with what was typed.
 * @param {readonly Choice[]} choices
 * @param {string} typed
 * @returns {Choice[]}
 */
export function closest(choices, typed) {
  const wanted = pairs(typed);
  const scored = choices.map((choice) => ({ choice, score: overlap(wanted, pairs(choice.label)) }));
  const near = scored.filter(({ score }) => score > 0.3);
  near.sort((a, b) => b.score - a.score);
  return near.slice(0, 3).map(({ choice }) => choice);
}

/**
 * @param {string} text
 * @returns {Set<string>}
 */
function pairs(text) {
  const plain = text.toLowerCase().replace(/[^a-z0-9]/g, "");
  return new Set([...plain].slice(1).map((letter, index) => plain.charAt(index) + letter));
}

/**
 * Dice's coefficient: 1 for the same pairs, 0 for none shared.
 * @param {Set<string>} a
 * @param {Set<string>} b
 */
function overlap(a, b) {
  if (a.size + b.size === 0) return 0;
  const shared = [...a].filter((pair) => b.has(pair)).length;
  return (2 * shared) / (a.size + b.size);
}

/**
 * The catalogue's entry of a chosen model; "local" alone means the embedded one.
 * @param {readonly Choice[]} choices
 * @param {string} model
 */
export function choiceOf(choices, model) {
  const short = (/** @type {Choice} */ choice) => model === "local" && choice.model.startsWith("local:");
  const bare = (/** @type {Choice} */ choice) => !model.includes(":") && choice.label === model;
  return choices.find((choice) => choice.model === model || short(choice)) ?? choices.find(bare);
}

/**
 * How a chosen model is shown: the catalogue's label, else as it was written.
 * @param {readonly Choice[]} choices
 * @param {string} model
 */
export function labelOf(choices, model) {
  return choiceOf(choices, model)?.label ?? model;
}

/**
 * Whose a chosen model is, known or not.
 * @param {readonly Choice[]} choices
 * @param {string} model
 */
export function providerOf(choices, model) {
  return choiceOf(choices, model)?.provider ?? model.split(":")[0] ?? "";
}

/**
 * Two letters that stand for a provider: the capitals of its name, else its first two letters.
 * @param {string} vendor
 */
export function markOf(vendor) {
  const capitals = vendor.replace(/[^A-Z]/g, "");
  return (capitals.length > 1 ? capitals : vendor.replace(/[^A-Za-z]/g, "")).slice(0, 2);
}
