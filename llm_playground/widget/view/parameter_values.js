// Parses what is typed into a parameter's field, and formats values for it: pure functions.

/**
 * The value of a parameter's trait. Invalid input is kept as typed, and the kernel explains it.
 * @typedef {number | string | null | readonly (number | string)[]} Value
 */

// One more than the kernel accepts, so that it can report that there are too many.
const MAX_VALUES = 51;
const NUMBER = String.raw`[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?`;
const RANGE = new RegExp(
  String.raw`^(${NUMBER})\s*(?:\.\.+|…|:|to)\s*(${NUMBER})(?:\s*(?::|step|by)\s*(${NUMBER}))?$`, "i");
const STEPS = 4;

/**
 * Parse a number, a list ("0, 0.5, 1") or a range ("0..1 step 0.25", "0:1:0.25"). Anything else is
 * returned as typed, and empty text as null.
 * @param {string} text
 * @param {boolean} whole whether the parameter accepts whole numbers only
 * @returns {Value}
 */
export function parseValue(text, whole = false) {
  const plain = text.trim();
  if (plain === "") return null;
  const single = parseNumber(plain);
  if (typeof single === "number") return single;
  return parseRange(plain, whole) ?? parseList(plain) ?? plain;
}

/**
 * Parse a number: "1,024" is 1024 and "0,5" is 0.5. Other text is returned unchanged.
 * @param {string} plain
 * @returns {number | string}
 */
function parseNumber(plain) {
  const grouped = /^[-+]?\d{1,3}(,\d{3})+$/.test(plain);
  const number = Number(grouped ? plain.replaceAll(",", "") : plain.replace(",", "."));
  return Number.isFinite(number) && plain !== "" ? exact(number, plain) : plain;
}

/**
 * Keep integers that a JavaScript number cannot represent as text, so that no other number is sent.
 * @param {number} number
 * @param {string} plain
 */
function exact(number, plain) {
  return Number.isInteger(number) && !Number.isSafeInteger(number) ? plain : number;
}

/**
 * @param {string} plain
 * @param {boolean} whole
 * @returns {number[] | null}
 */
function parseRange(plain, whole) {
  const found = RANGE.exec(plain);
  if (!found) return null;
  const [first, last] = [Number(found[1]), Number(found[2])];
  const step = Math.abs(found[3] === undefined ? defaultStep(first, last, whole) : Number(found[3]));
  if (!(step > 0)) return first === last ? [first] : null;
  const decimals = Math.max(...[first, last, step].map(decimalPlaces));
  const many = Math.min(Math.floor(Math.abs(last - first) / step + 1e-9) + 1, MAX_VALUES);
  const direction = Math.sign(last - first);
  return Array.from({ length: many }, (_, at) => Number((first + direction * at * step).toFixed(decimals)));
}

/**
 * The step of a range without one: 1 for whole numbers, otherwise a quarter of the range.
 * @param {number} first
 * @param {number} last
 * @param {boolean} whole
 */
function defaultStep(first, last, whole) {
  return whole ? 1 : (last - first) / STEPS;
}

/** @param {number} number */
function decimalPlaces(number) {
  const [digits = "", power = "0"] = String(number).split("e");
  return Math.max(0, Math.min(20, (digits.split(".")[1] ?? "").length - Number(power)));
}

/**
 * @param {string} plain
 * @returns {Value | null}
 */
function parseList(plain) {
  const bare = plain.replace(/^\[(.*)\]$/, "$1");
  const separator = [/;/, /,\s+/, /,/].find((between) => between.test(bare));
  if (!separator) return null;
  const values = bare.split(separator).map((one) => one.trim().replace(/,$/, "")).filter(Boolean).map(parseNumber);
  const different = [...new Set(values)].slice(0, MAX_VALUES);
  return different.length > 1 ? different : different[0] ?? null;
}

/**
 * Parse texts separated by commas. A text in double quotes may contain commas, and \n for a new line.
 * @param {string} text
 * @returns {string[] | null}
 */
export function parseTexts(text) {
  const found = text.matchAll(/\s*("(?:[^"\\]|\\.)*"|[^,]*)\s*(?:,|$)/g);
  const texts = [...found].map(([, one = ""]) => unquote(one.trim())).filter((one) => one !== "");
  return texts.length > 0 ? [...new Set(texts)] : null;
}

/** @param {string} text */
function unquote(text) {
  if (!/^".*"$/s.test(text) || text.length < 2) return text;
  try {
    return String(JSON.parse(text));
  } catch {
    return text.slice(1, -1);
  }
}

/**
 * A value in full, as it can be typed.
 * @param {unknown} value
 * @returns {string}
 */
export function formatValue(value) {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map(formatValue).join(", ");
  if (typeof value !== "number") return String(value);
  return value.toLocaleString("en", { maximumFractionDigits: 6, useGrouping: Math.abs(value) >= 1000 });
}

/**
 * Texts as they can be typed.
 * @param {unknown} value
 * @returns {string}
 */
export function formatTexts(value) {
  if (value === null || value === undefined) return "";
  const texts = Array.isArray(value) ? value : [value];
  return texts.map((one) => (Array.isArray(one) ? `[${formatTexts(one)}]` : quoteIfNeeded(String(one)))).join(", ");
}

/** @param {string} text */
function quoteIfNeeded(text) {
  return /^[^\s",\\]([^",\\\n\t\r]*[^\s",\\])?$/.test(text) ? text : JSON.stringify(text);
}

/**
 * Whether a value is a list of values to sweep over.
 * @param {unknown} value
 * @param {boolean} texts whether a single value is itself a list
 */
export function isSweep(value, texts = false) {
  if (!Array.isArray(value) || value.length === 0) return false;
  return !texts || value.every((one) => Array.isArray(one));
}

// The thumb's radius: the track begins and ends that far inside.
const TRACK_INSET_PX = 7;
const MOST_TICKS = 50;

/**
 * The CSS background that marks swept values on a slider's track.
 * @param {readonly unknown[]} values
 * @param {{min: number, max: number}} range
 */
export function sweepTicks(values, { min, max }) {
  const numbers = values.filter((value) => typeof value === "number" && value >= min && value <= max);
  const ticks = numbers.slice(0, MOST_TICKS).map((value) => {
    const part = Number(((Number(value) - min) / (max - min)).toFixed(4));
    const left = `calc(${TRACK_INSET_PX}px + (100% - ${2 * TRACK_INSET_PX}px) * ${part})`;
    return `linear-gradient(var(--llm-accent), var(--llm-accent)) ${left} 50% / 2px 12px no-repeat`;
  });
  return ticks.join(", ") || "none";
}

/**
 * A value in short: a list is summarized by its length.
 * @param {unknown} value
 */
export function summarizeValue(value) {
  if (!Array.isArray(value)) return formatValue(value);
  return `${value.length > 50 ? "over 50" : value.length} value${value.length === 1 ? "" : "s"}`;
}
