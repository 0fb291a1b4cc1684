// The dialog "Wire": what went over the wire for one answer, when, and what became of its parameters.

import { h, button } from "./dom.js";
import { createDialog } from "./dialog.js";
import { createCopy } from "./clipboard.js";
import { spanMarks, tickMarks } from "./timeline.js";

/** @typedef {import("./dom.js").View} View */

/**
 * One request and its response (wire.py).
 * @typedef {object} Exchange
 * @property {number} attempt
 * @property {string} line
 * @property {[string, string][]} headers
 * @property {string} body
 * @property {string} status empty where no response came
 * @property {string} headers_after
 * @property {[string, string][]} answer_headers
 * @property {[string, string][]} limits
 * @property {string} received
 * @property {string} size
 * @property {string} lost what has to be said of what is not kept
 */

/** @typedef {{name: string, value: string, places: string[], why: string, sent: boolean}} Passage */

/**
 * @typedef {object} Told
 * @property {string} title
 * @property {Exchange[]} exchanges
 * @property {string[]} notes
 * @property {Passage[]} parameters
 * @property {[string, string][]} facts
 * @property {string} summary
 * @property {string} total
 */

/** @param {View} view */
export function createWire(view) {
  const content = h("div", { class: "llm-wire" });
  const dialog = createDialog(view, "Wire", content);
  dialog.element.classList.add("llm-wide");
  const state = { asked: 0, number: 0 };

  /** @param {Told & import("./timeline.js").Timeline} told */
  const paint = (told) => {
    dialog.rename(told.title);
    content.replaceChildren(
      ...drawTimeline(told),
      ...told.notes.map((note) => h("p", { class: "llm-wire-note" }, note)),
      ...drawParameters(told.parameters),
      ...told.exchanges.flatMap((exchange, at) => drawExchange(view, exchange, told.exchanges.length, at)),
      ...drawFacts(told.facts));
  };
  const look = () => {
    const asked = ++state.asked;
    view.ask("wire", { number: state.number }).then(
      (told) => asked === state.asked && paint(told),
      (/** @type {Error} */ error) => asked === state.asked
        && content.replaceChildren(h("p", { class: "llm-problem", role: "alert" }, error.message)));
  };
  const again = button("Refresh", { class: "llm-link" }, view.signal, look);
  dialog.element.querySelector("header")?.lastElementChild?.before(again);
  /** @param {number} number */
  const open = (number) => {
    if (!number) return view.say("Choose an answer first.");
    state.number = number;
    dialog.rename(`Wire · answer ${number}`);
    content.replaceChildren();
    dialog.open();
    look();
  };
  return { element: dialog.element, open, close: dialog.close };
}

/**
 * A strip of time: attempts and waits as spans, deltas as bars, and the same in words.
 * @param {Told & import("./timeline.js").Timeline} told
 * @returns {HTMLElement[]}
 */
function drawTimeline(told) {
  const words = h("p", { class: "llm-wire-summary" }, told.summary);
  if (told.total_ms <= 0) return told.summary ? [words] : [];
  const spans = spanMarks(told).map(({ left, width }, at) => {
    const span = told.spans[at];
    return h("span", {
      class: "llm-span", "data-kind": span?.kind ?? "", title: span?.label ?? "",
      style: `left:${percent(left)};width:${percent(width)}`,
    });
  });
  const ticks = tickMarks(told).map(({ left, width, height }) => h("i", {
    style: `left:${percent(left)};width:max(1px, ${percent(width)});height:${percent(height)}`,
  }));
  const strip = h("div", { class: "llm-strip", role: "img", "aria-label": `Timeline. ${told.summary}` },
    h("div", { class: "llm-ticks" }, ...ticks), h("div", { class: "llm-spans" }, ...spans));
  const axis = h("p", { class: "llm-axis", "aria-hidden": "true" }, h("span", {}, "0 s"), h("span", {}, told.total));
  const several = told.spans.length > 1 || told.spans.some((span) => span.why);
  const list = h("ol", { class: "llm-wire-attempts" }, ...told.spans.map((span) => h("li", { "data-kind": span.kind },
    span.label, ...(span.why ? [h("span", { class: "llm-side" }, ` ${span.why}`)] : []))));
  return [words, strip, axis, ...(several ? [list] : [])];
}

/**
 * @param {Passage[]} parameters
 * @returns {HTMLElement[]}
 */
function drawParameters(parameters) {
  if (parameters.length === 0) return [];
  const rows = parameters.map(({ name, value, places, why, sent }) => h("tr", { "data-sent": String(sent) },
    h("th", { scope: "row" }, name || "added"), h("td", {}, h("code", {}, value)),
    h("td", {}, sent ? h("code", {}, places.join(", ")) : "not sent"), h("td", { class: "llm-reason" }, why)));
  const head = ["Parameter", "Value", "Sent as", "Why"].map((name) => h("th", { scope: "col" }, name));
  return [h("div", { class: "llm-table" }, h("table", {}, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows)))];
}

/**
 * @param {View} view
 * @param {Exchange} exchange
 * @param {number} many
 * @param {number} at
 * @returns {HTMLElement[]}
 */
function drawExchange(view, exchange, many, at) {
  const which = many > 1 ? ` · attempt ${exchange.attempt}` : "";
  const request = h("details", { class: "llm-part", open: at === many - 1 },
    h("summary", {}, `Request${which}`), h("p", { class: "llm-line" }, h("code", {}, exchange.line)),
    ...drawHeaders(exchange.headers), drawText(view, exchange.body, `Request body${which}`));
  const said = [exchange.status || "no response", exchange.headers_after && `headers after ${exchange.headers_after}`,
    exchange.received && exchange.size, exchange.lost].filter(Boolean).join(" · ");
  if (!exchange.status && !exchange.received && !exchange.headers_after && at === 0 && many === 1 && !exchange.size) return [request];
  const response = h("details", { class: "llm-part", open: at === many - 1 },
    h("summary", {}, `Response${which}`), h("p", { class: "llm-line" }, said),
    ...exchange.limits.map(([name, value]) => h("p", { class: "llm-line" }, h("code", {}, `${name}: ${value}`))),
    ...drawHeaders(exchange.answer_headers),
    ...(exchange.received ? [drawText(view, exchange.received, `Response body${which}`)] : []));
  return [request, response];
}

/**
 * @param {[string, string][]} headers
 * @returns {HTMLElement[]}
 */
function drawHeaders(headers) {
  if (headers.length === 0) return [];
  const lines = headers.map(([name, value]) => `${name}: ${value}`).join("\n");
  return [h("details", { class: "llm-headers" }, h("summary", {}, `Headers (${headers.length})`),
    h("pre", { tabindex: "0", "aria-label": "Headers" }, lines))];
}

/**
 * A text as it is, with a button that copies it.
 * @param {View} view
 * @param {string} text
 * @param {string} name
 */
function drawText(view, text, name) {
  const pre = h("pre", { tabindex: "0", role: "region", "aria-label": name }, text);
  return h("div", { class: "llm-text-frame" }, pre, createCopy(view, name, { class: "llm-link llm-copy" }, () => text));
}

/**
 * @param {[string, string][]} facts
 * @returns {HTMLElement[]}
 */
function drawFacts(facts) {
  if (facts.length === 0) return [];
  const pairs = facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]);
  return [h("details", { class: "llm-part" }, h("summary", {}, "More of this run"), h("dl", {}, ...pairs))];
}

/** @param {number} part of 1 */
function percent(part) {
  return `${(part * 100).toFixed(3)}%`;
}
