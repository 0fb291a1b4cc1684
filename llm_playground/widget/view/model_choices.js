// Which models the picker lists for what was typed: pure functions.

import { shortModel } from "./answer_state.js";

/**
 * One model. `reason` says what is missing if it is not available, `where` that it runs locally,
 * `context` is the size of its context window ("128k"), `about` one line about its use, `ends` when
 * its provider ends it ("ends 14 Jan 2027"), if that is within 90 days, `ends_soon` within 30.
 * @typedef {{model: string, label: string, provider: string, vendor: string, where: string,
 *   available: boolean, reason: string, price: string, context: string, badges: readonly string[],
 *   about: string, deprecated: boolean, ends: string, ends_soon: boolean}} Choice
 */

/**
 * The models of one provider; `more` counts those left out until more is typed.
 * @typedef {{provider: string, vendor: string, note: string, choices: Choice[], more: number}} Group
 */

/**
 * A provider as the kernel knows it; `note` says why none of its models is listed, if that is known.
 * @typedef {{vendor: string, note: string}} Provider
 */

/**
 * A line of the list that is no listed model: a name to be used as it is typed (`model`), or a provider
 * of which no model is listed (`model` is empty), whose key is missing if `wantsKey`.
 * @typedef {{provider: string, vendor: string, model: string, note: string, wantsKey: boolean}} Offer
 */

/**
 * What the picker lists: a typed name, models by provider, providers without listed models, and the
 * models that the kernel has found since the list was opened.
 * @typedef {{typed: Offer | null, groups: Group[], offers: Offer[], late: Group[]}} Listing
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
 * order (newest first) is kept, with deprecated models last. A model whose name was typed exactly is the
 * first of its group, and its group comes before others of the same availability. If nothing is typed,
 * only the first few of each provider are listed.
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
  const sorted = [...byProvider.values()].toSorted((a, b) => (
    availability(b) - availability(a) || nameIn(b, typed) - nameIn(a, typed)));
  const perProvider = typed.trim() === "" && sorted.length > 1 ? MAX_PER_PROVIDER : MAX_LISTED;
  let remaining = MAX_LISTED;
  return sorted.flatMap((all) => {
    const shown = all.toSorted((a, b) => isNamed(b, typed) - isNamed(a, typed) || Number(a.deprecated) - Number(b.deprecated))
      .slice(0, Math.min(perProvider, remaining));
    remaining -= shown.length;
    return all[0] ? [groupOf(all[0], shown, all.length - shown.length)] : [];
  });
}

/**
 * What the picker lists for a typed text.
 * @param {readonly Choice[]} choices
 * @param {Readonly<Record<string, Provider>>} providers
 * @param {Readonly<Record<string, {wants_key: boolean}>>} unusable
 * @param {string} typed
 * @returns {Listing}
 */
export function listingOf(choices, providers, unusable, typed) {
  const groups = groupedChoices(choices, typed);
  return {
    typed: typedName(choices, providers, typed), groups, offers: providerOffers(choices, providers, unusable, typed),
    late: [],
  };
}

/**
 * A full name of a model that is not listed: any name is accepted of a known provider.
 * @param {readonly Choice[]} choices
 * @param {Readonly<Record<string, Provider>>} providers
 * @param {string} typed
 * @returns {Offer | null}
 */
export function typedName(choices, providers, typed) {
  const [provider = "", ...rest] = typed.trim().split(":").map((part) => part.trim());
  const name = rest.join(":");
  const known = Object.hasOwn(providers, provider) ? providers[provider] : undefined;
  const model = `${provider}:${name}`;
  if (!known || name === "" || choices.some((choice) => choice.model === model)) return null;
  return { provider, vendor: known.vendor, model, note: "not in the list, used as typed", wantsKey: false };
}

/**
 * The providers of which no model is known, by name: all, or those that contain every typed word.
 * @param {readonly Choice[]} choices
 * @param {Readonly<Record<string, Provider>>} providers
 * @param {Readonly<Record<string, {wants_key: boolean}>>} unusable
 * @param {string} typed
 * @returns {Offer[]}
 */
function providerOffers(choices, providers, unusable, typed) {
  const listed = new Set(choices.map(({ provider }) => provider));
  const words = typed.toLowerCase().split(/[\s:]+/).filter(Boolean);
  const isFullName = /^[^:]+:\s*\S/.test(typed);
  const found = Object.entries(providers).filter(([provider, { vendor }]) => {
    const text = `${provider} ${vendor}`.toLowerCase();
    return !listed.has(provider) && !isFullName && words.every((word) => text.includes(word));
  });
  const offers = found.map(([provider, { vendor, note }]) => {
    const wantsKey = unusable[provider]?.wants_key ?? false;
    return { provider, vendor, model: "", note: wantsKey ? "no key" : note, wantsKey };
  });
  return offers.sort((a, b) => a.vendor.localeCompare(b.vendor, "en"));
}

/**
 * The lines of a listing in their order: what the arrows walk through.
 * @param {Listing} listing
 * @returns {(Choice | Offer)[]}
 */
export function linesOf({ typed, groups, offers, late }) {
  const models = (/** @type {Group[]} */ some) => some.flatMap((group) => group.choices);
  return [...(typed ? [typed] : []), ...models(groups), ...offers, ...models(late)];
}

/**
 * The line that Enter takes when a text was typed: the model of this name, or else the first; -1 when
 * there is none.
 * @param {Listing} listing
 * @param {string} typed
 */
export function lineFor(listing, typed) {
  const lines = linesOf(listing);
  const choices = listing.groups.flatMap((group) => group.choices);
  const exact = findChoice(choices, typed.trim());
  return exact ? lines.indexOf(exact) : Math.min(0, lines.length - 1);
}

/**
 * Where a marked line stands in a newer listing; if it is gone, the line that Enter takes.
 * @param {Listing} listing
 * @param {Choice | Offer | undefined} line
 * @param {string} typed
 */
export function lineAgain(listing, line, typed) {
  const at = linesOf(listing).findIndex((one) => one.provider === line?.provider && one.model === line.model);
  return at < 0 && typed.trim() !== "" ? lineFor(listing, typed) : at;
}

/**
 * 1 for the model of exactly the typed name, else 0.
 * @param {Choice} choice
 * @param {string} typed
 */
function isNamed({ model, label }, typed) {
  return Number([model, label, shortModel(model)].some((name) => name.toLowerCase() === typed.trim().toLowerCase()));
}

/**
 * 1 if one of the models has exactly the typed name, else 0.
 * @param {readonly Choice[]} choices
 * @param {string} typed
 */
function nameIn(choices, typed) {
  return Math.max(...choices.map((choice) => isNamed(choice, typed)));
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
 * Update the listing of an open picker when the kernel has found more: every line keeps its place and
 * gets its new details; new models are added after all of them. A list without models is replaced.
 * @param {Listing} shown
 * @param {Listing} found
 * @param {readonly Choice[]} choices all models found so far
 * @returns {Listing}
 */
export function extendListing(shown, found, choices) {
  if (shown.groups.length === 0) return found;
  const byName = new Map(choices.map((choice) => [choice.model, choice]));
  const listed = new Set(linesOf(shown).map(({ model }) => model));
  const updated = (/** @type {Group} */ group) => {
    const current = group.choices.map((choice) => byName.get(choice.model) ?? choice);
    return current[0] ? groupOf(current[0], current, group.more) : group;
  };
  const added = found.groups.map((group) => {
    return { ...group, more: 0, choices: group.choices.filter(({ model }) => !listed.has(model)) };
  });
  const offers = new Map(found.offers.map((offer) => [offer.provider, offer]));
  const providersWithModels = new Set(choices.map(({ provider }) => provider));
  return {
    typed: shown.typed,
    groups: shown.groups.map(updated),
    offers: shown.offers.map((offer) => offers.get(offer.provider)
      ?? (providersWithModels.has(offer.provider) ? { ...offer, note: "", wantsKey: false } : offer)),
    late: [...shown.late.map(updated), ...added.filter((group) => group.choices.length > 0)],
  };
}

/**
 * The message when nothing matches what was typed, which is then not added.
 * @param {readonly Choice[]} choices
 * @param {Readonly<Record<string, Provider>>} providers
 * @param {string} typed
 */
export function noMatchMessage(choices, providers, typed) {
  const [provider = "", name] = typed.split(":").map((part) => part.trim());
  if (Object.hasOwn(providers, provider)) return `Type the name of a model after "${provider}:".`;
  const what = name === undefined ? `No model matches "${typed}".` : `No provider is called "${provider}".`;
  const close = name === undefined ? closestLabels(choices.map(({ label }) => label), typed)
    : closestLabels(Object.keys(providers), provider).map((near) => `${near}:${name}`);
  const hint = close.length > 0 ? `Closest: ${close.join(", ")}.` : "Write a name that is not listed as provider:name.";
  return `${what} ${hint}`;
}

/**
 * Up to three texts that share the most letter pairs with the typed one.
 * @param {readonly string[]} texts
 * @param {string} typed
 */
export function closestLabels(texts, typed) {
  const wanted = bigrams(typed);
  const scored = texts.map((text) => ({ text, score: diceCoefficient(wanted, bigrams(text)) }));
  const near = scored.filter(({ score }) => score > 0.3);
  near.sort((a, b) => b.score - a.score);
  return near.slice(0, 3).map(({ text }) => text);
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
