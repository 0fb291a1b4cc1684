// Which models the picker lists for what was typed: pure functions.

/**
 * One model. `reason` says what is missing if it is not available, `where` that it runs locally,
 * `context` is the size of its context window ("128k"), `about` one line about its use, `ends` when
 * its provider ends it ("ends 14 Jan 2027"), if that is soon.
 * @typedef {{model: string, label: string, provider: string, vendor: string, where: string,
 *   available: boolean, reason: string, price: string, context: string, badges: readonly string[],
 *   about: string, deprecated: boolean, ends: string}} Choice
 */

/**
 * The models of one provider; `more` counts those left out until more is typed.
 * @typedef {{provider: string, vendor: string, note: string, choices: Choice[], more: number}} Group
 */

const MAX_LISTED = 50;
const MAX_PER_PROVIDER = 5;

/**
 * The choices that contain every typed word in their name, provider, price or badges.
 * @param {readonly Choice[]} choices
 * @param {string} typed
 * @returns {Choice[]}
 */
export function matchingChoices(choices, typed) {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  return choices.filter((choice) => {
    const fields = [choice.model, choice.label, choice.vendor, choice.where, choice.price, ...choice.badges];
    const text = fields.join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/**
 * The matching choices grouped by provider, available providers first. Within a group the kernel's
 * order (newest first) is kept, with deprecated models last. If nothing is typed, only the first few
 * of each provider are listed.
 * @param {readonly Choice[]} choices
 * @param {string} typed
 * @returns {Group[]}
 */
export function groupedChoices(choices, typed) {
  /** @type {Map<string, Choice[]>} */
  const byProvider = new Map();
  for (const choice of matchingChoices(choices, typed)) {
    const group = byProvider.get(choice.provider) ?? [];
    byProvider.set(choice.provider, [...group, choice]);
  }
  const sorted = [...byProvider.values()].toSorted((a, b) => availability(b) - availability(a));
  const perProvider = typed.trim() === "" && sorted.length > 1 ? MAX_PER_PROVIDER : MAX_LISTED;
  let remaining = MAX_LISTED;
  return sorted.flatMap((all) => {
    const shown = all.toSorted((a, b) => Number(a.deprecated) - Number(b.deprecated))
      .slice(0, Math.min(perProvider, remaining));
    remaining -= shown.length;
    return all[0] ? [groupOf(all[0], shown, all.length - shown.length)] : [];
  });
}

/** @param {readonly Choice[]} choices */
function availability(choices) {
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
 * Update the groups of an open picker when the kernel has found more models: listed models keep their
 * place and get their new details; new models are added after them.
 * @param {readonly Group[]} shown
 * @param {readonly Group[]} found
 * @param {readonly Choice[]} choices all models found so far
 * @returns {Group[]}
 */
export function extendGroups(shown, found, choices) {
  const byName = new Map(choices.map((choice) => [choice.model, choice]));
  const listed = new Set(shown.flatMap((group) => group.choices.map(({ model }) => model)));
  const updated = shown.map((group) => {
    const current = group.choices.map((choice) => byName.get(choice.model) ?? choice);
    return current[0] ? groupOf(current[0], current, group.more) : group;
  });
  const added = found.map((group) => {
    return { ...group, more: 0, choices: group.choices.filter(({ model }) => !listed.has(model)) };
  });
  return [...updated, ...added.filter((group) => group.choices.length > 0)];
}

/**
 * The message when no model matches.
 * @param {readonly Choice[]} choices
 * @param {string} typed
 */
export function noMatchMessage(choices, typed) {
  const close = closestChoices(choices, typed).map((choice) => choice.label);
  const hint = close.length > 0 ? ` Closest: ${close.join(", ")}.` : "";
  return `No model matches "${typed}".${hint}`;
}

/**
 * Up to three choices whose labels share the most letter pairs with the typed text.
 * @param {readonly Choice[]} choices
 * @param {string} typed
 * @returns {Choice[]}
 */
export function closestChoices(choices, typed) {
  const wanted = bigrams(typed);
  const scored = choices.map((choice) => ({ choice, score: diceCoefficient(wanted, bigrams(choice.label)) }));
  const near = scored.filter(({ score }) => score > 0.3);
  near.sort((a, b) => b.score - a.score);
  return near.slice(0, 3).map(({ choice }) => choice);
}

/**
 * @param {string} text
 * @returns {Set<string>}
 */
function bigrams(text) {
  const plain = text.toLowerCase().replace(/[^a-z0-9]/g, "");
  return new Set([...plain].slice(1).map((letter, index) => plain.charAt(index) + letter));
}

/**
 * Dice's coefficient: 1 for equal sets, 0 for disjoint ones.
 * @param {Set<string>} a
 * @param {Set<string>} b
 */
function diceCoefficient(a, b) {
  if (a.size + b.size === 0) return 0;
  const shared = [...a].filter((pair) => b.has(pair)).length;
  return (2 * shared) / (a.size + b.size);
}

/**
 * The catalog entry of a selected model; "local" alone means the embedded model.
 * @param {readonly Choice[]} choices
 * @param {string} model
 */
export function findChoice(choices, model) {
  const short = (/** @type {Choice} */ choice) => model === "local" && choice.model.startsWith("local:");
  const bare = (/** @type {Choice} */ choice) => !model.includes(":") && choice.label === model;
  return choices.find((choice) => choice.model === model || short(choice)) ?? choices.find(bare);
}

/**
 * The label of a selected model: the catalog's, or else the name as typed.
 * @param {readonly Choice[]} choices
 * @param {string} model
 */
export function labelOf(choices, model) {
  return findChoice(choices, model)?.label ?? model;
}

/**
 * The provider of a selected model, also if the catalog does not list the model.
 * @param {readonly Choice[]} choices
 * @param {string} model
 */
export function providerOf(choices, model) {
  return findChoice(choices, model)?.provider ?? model.split(":")[0] ?? "";
}

/**
 * A provider's two-letter mark: the capitals of its name, or else its first two letters.
 * @param {string} vendor
 */
export function markOf(vendor) {
  const capitals = vendor.replace(/[^A-Z]/g, "");
  return (capitals.length > 1 ? capitals : vendor.replace(/[^A-Za-z]/g, "")).slice(0, 2);
}
