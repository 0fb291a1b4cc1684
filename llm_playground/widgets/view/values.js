// What is typed into a parameter's field, as the value it means, and back: pure functions.

/** What a parameter's trait may hold; what makes no sense is kept as typed, for the kernel to explain.
 * @typedef {number | string | null | readonly (number | string)[]} Value
 */

// One more than the kernel takes (sweep.py), so that it can say that there are too many.
const MOST_LISTED = 51;
const NUMBER = String.raw`[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?`;
const RANGE = new RegExp(
  String.raw`^(${NUMBER})\s*(?:\.\.+|…|:|to)\s*(${NUMBER})(?:\s*(?::|step|by)\s*(${NUMBER}))?$`, "i");
const STEPS = 4;

/**
 * A number, a list ("0, 0.5, 1"), a range ("0..1 step 0.25", "0:1:0.25"), or what was typed.
 * @param {string} text
 * @param {boolean} whole whether the parameter takes whole numbers only
 * @returns {Value}
 */
export function typedValue(text, whole = false) {
  const plain = text.trim();
  if (plain === "") return null;
  const single = typedNumber(plain);
  if (typeof single === "number") return single;
  return ranged(plain, whole) ?? listedIn(plain) ?? plain;
}

/**
 * 1,024 is a thousand, 0,5 a half. What is no number stays text.
 * @param {string} plain
 * @returns {number | string}
 */
function typedNumber(plain) {
  const grouped = /^[-+]?\d{1,3}(,\d{3})+$/.test(plain);
  const number = Number(grouped ? plain.replaceAll(",", "") : plain.replace(",", "."));
  return Number.isFinite(number) && plain !== "" ? exact(number, plain) : plain;
}

/**
 * Digits that JavaScript's numbers cannot hold stay text, so that no other number is sent.
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
function ranged(plain, whole) {
  const found = RANGE.exec(plain);
  if (!found) return null;
  const [first, last] = [Number(found[1]), Number(found[2])];
  const step = Math.abs(found[3] === undefined ? usualStep(first, last, whole) : Number(found[3]));
  if (!(step > 0)) return first === last ? [first] : null;
  const decimals = Math.max(...[first, last, step].map(decimalsOf));
  const many = Math.min(Math.floor(Math.abs(last - first) / step + 1e-9) + 1, MOST_LISTED);
  const direction = Math.sign(last - first);
  return Array.from({ length: many }, (_, at) => Number((first + direction * at * step).toFixed(decimals)));
}

/**
 * Without a step: whole numbers one by one, others in quarters of the way.
 * @param {number} first
 * @param {number} last
 * @param {boolean} whole
 */
function usualStep(first, last, whole) {
  return whole ? 1 : (last - first) / STEPS;
}

/** @param {number} number */
function decimalsOf(number) {
  const [digits = "", power = "0"] = String(number).split("e");
  return Math.max(0, Math.min(20, (digits.split(".")[1] ?? "").length - Number(power)));
}

/**
 * @param {string} plain
 * @returns {Value | null}
 */
function listedIn(plain) {
  const bare = plain.replace(/^\[(.*)\]$/, "$1");
  const separator = [/;/, /,\s+/, /,/].find((between) => between.test(bare));
  if (!separator) return null;
  const values = bare.split(separator).map((one) => one.trim().replace(/,$/, "")).filter(Boolean).map(typedNumber);
  const different = [...new Set(values)].slice(0, MOST_LISTED);
  return different.length > 1 ? different : different[0] ?? null;
}

/**
 * Texts between commas; one in double quotes may hold commas, and \n for a new line.
 * @param {string} text
 * @returns {string[] | null}
 */
export function typedTexts(text) {
  const found = text.matchAll(/\s*("(?:[^"\\]|\\.)*"|[^,]*)\s*(?:,|$)/g);
  const texts = [...found].map(([, one = ""]) => unquoted(one.trim())).filter((one) => one !== "");
  return texts.length > 0 ? [...new Set(texts)] : null;
}

/** @param {string} text */
function unquoted(text) {
  if (!/^".*"$/s.test(text) || text.length < 2) return text;
  try {
    return String(JSON.parse(text));
  } catch {
    return text.slice(1, -1);
  }
}

/**
 * How a field shows a value that is being typed or looked at.
 * @param {unknown} value
 * @returns {string}
 */
export function valueText(value) {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map(valueText).join(", ");
  if (typeof value !== "number") return String(value);
  return value.toLocaleString("en", { maximumFractionDigits: 6, useGrouping: Math.abs(value) >= 1000 });
}

/**
 * Texts as they are typed.
 * @param {unknown} value
 * @returns {string}
 */
export function textsText(value) {
  if (value === null || value === undefined) return "";
  const texts = Array.isArray(value) ? value : [value];
  return texts.map((one) => (Array.isArray(one) ? `[${textsText(one)}]` : quotedIfNeeded(String(one)))).join(", ");
}

/** @param {string} text */
function quotedIfNeeded(text) {
  return /^[^\s",\\]([^",\\\n\t\r]*[^\s",\\])?$/.test(text) ? text : JSON.stringify(text);
}

/**
 * Whether a value is a list of values to be tried one by one.
 * @param {unknown} value
 * @param {boolean} texts whether one value is itself a list
 */
export function isSweep(value, texts = false) {
  if (!Array.isArray(value) || value.length === 0) return false;
  return !texts || value.every((one) => Array.isArray(one));
}

/**
 * What is shown where there is no room for all of them.
 * @param {unknown} value
 */
export function briefly(value) {
  if (!Array.isArray(value)) return valueText(value);
  return `${value.length > 50 ? "over 50" : value.length} value${value.length === 1 ? "" : "s"}`;
}
