// Which models the picker offers for what was typed: pure functions over plain values.

/**
 * One model on offer. `reason` says what is missing when it cannot be used now.
 * @typedef {{model: string, label: string, available: boolean, reason: string, price: string}} Choice
 */

const MOST = 50;

/**
 * The choices that match every word typed, usable ones first, in the kernel's order otherwise.
 * @param {readonly Choice[]} choices
 * @param {string} typed
 * @param {readonly string[]} chosen models that are chosen already
 * @returns {Choice[]}
 */
export function matching(choices, typed, chosen) {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const free = choices.filter((choice) => !chosen.includes(choice.model));
  const hits = free.filter((choice) => {
    const name = `${choice.model} ${choice.label}`.toLowerCase();
    return words.every((word) => name.includes(word));
  });
  return hits.toSorted((a, b) => Number(b.available) - Number(a.available)).slice(0, MOST);
}

/**
 * What an open picker goes on to show when the kernel has found more: every line stays where it is,
 * with what is now known of it, and new ones follow.
 * @param {readonly Choice[]} shown
 * @param {readonly Choice[]} found
 * @returns {Choice[]}
 */
export function grown(shown, found) {
  const known = new Map(found.map((choice) => [choice.model, choice]));
  const names = new Set(shown.map(({ model }) => model));
  const stay = shown.map((choice) => known.get(choice.model) ?? choice);
  return [...stay, ...found.filter(({ model }) => !names.has(model))];
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
  return choices.find((choice) => choice.model === model || short(choice));
}

/**
 * How a chosen model is shown: the catalogue's label, else as it was written.
 * @param {readonly Choice[]} choices
 * @param {string} model
 */
export function labelOf(choices, model) {
  return choiceOf(choices, model)?.label ?? model;
}
