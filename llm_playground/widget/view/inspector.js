// The dialog "Wire": the recorded requests and responses of one answer, their timing and parameters.

import { button, createCopy, h } from "./dom.js";
import { createDialog } from "./overlay.js";

/** @typedef {import("./dom.js").View} View */

/**
 * One request and its response.
 * @typedef {object} Exchange
 * @property {number} attempt
 * @property {string} line
 * @property {[string, string][]} headers
 * @property {string} body
 * @property {string} status empty if there was no response
 * @property {string} headers_after
 * @property {[string, string][]} answer_headers
 * @property {[string, string][]} limits
 * @property {string} received
 * @property {string} size
 * @property {string} lost a note if part of it was not kept
 */

/**
 * How a parameter was sent, or why it was not.
 * @typedef {{name: string, value: string, places: string[], why: string, sent: boolean}} ParameterUse
 */

/**
 * The kernel's reply to the request "wire".
 * @typedef {object} Inspection
 * @property {string} title
 * @property {Exchange[]} exchanges
 * @property {string[]} notes
 * @property {ParameterUse[]} parameters
 * @property {[string, string][]} facts
 * @property {string} summary
 * @property {string} total
 */

/** @param {View} view */
export function createInspector(view) {
  const content = h("div", { class: "llm-wire" });
  const dialog = createDialog(view, "Wire", content);
  dialog.element.classList.add("llm-wide");
  const state = { request: 0, number: 0 };

  /** @param {Inspection & Timeline} inspection */
  const paint = (inspection) => {
    dialog.rename(inspection.title);
    content.replaceChildren(
      ...drawTimeline(inspection),
      ...inspection.notes.map((note) => h("p", { class: "llm-wire-note" }, note)),
      ...drawParameters(inspection.parameters),
      ...inspection.exchanges.flatMap((exchange, at) => drawExchange(view, exchange, inspection.exchanges.length, at)),
      ...drawFacts(inspection.facts));
  };
  const load = () => {
    const request = ++state.request;
    view.request("wire", { number: state.number }).then(
      (inspection) => request === state.request && paint(inspection),
      (/** @type {Error} */ error) => request === state.request
        && content.replaceChildren(h("p", { class: "llm-problem", role: "alert" }, error.message)));
  };
  const refresh = button("Refresh", { class: "llm-link" }, view.signal, load);
  dialog.element.querySelector("header")?.lastElementChild?.before(refresh);
  /** @param {number} number */
  const open = (number) => {
    if (!number) return view.status.say("Choose an answer first.");
    state.number = number;
    dialog.rename(`Wire · answer ${number}`);
    content.replaceChildren();
    dialog.open();
    load();
  };
  return { element: dialog.element, open, close: dialog.close };
}

/**
 * Draw the timeline: attempts and waits as spans, deltas as bars, and the same in words.
 * @param {Inspection & Timeline} inspection
 * @returns {HTMLElement[]}
 */
function drawTimeline(inspection) {
  const words = h("p", { class: "llm-wire-summary" }, inspection.summary);
  if (inspection.total_ms <= 0) return inspection.summary ? [words] : [];
  const spans = spanMarks(inspection).map(({ left, width }, at) => {
    const span = inspection.spans[at];
    return h("span", {
      class: "llm-span", "data-kind": span?.kind ?? "", title: span?.label ?? "",
      style: `left:${percent(left)};width:${percent(width)}`,
    });
  });
  const ticks = tickMarks(inspection).map(({ left, width, height }) => h("i", {
    style: `left:${percent(left)};width:max(1px, ${percent(width)});height:${percent(height)}`,
  }));
  const strip = h("div", { class: "llm-strip", role: "img", "aria-label": `Timeline. ${inspection.summary}` },
    h("div", { class: "llm-ticks" }, ...ticks), h("div", { class: "llm-spans" }, ...spans));
  const axis = h("p", { class: "llm-axis", "aria-hidden": "true" },
    h("span", {}, "0 s"), h("span", {}, inspection.total));
  const several = inspection.spans.length > 1 || inspection.spans.some((span) => span.why);
  const items = inspection.spans.map((span) => h("li", { "data-kind": span.kind },
    span.label, ...(span.why ? [h("span", { class: "llm-side" }, ` ${span.why}`)] : [])));
  const list = h("ol", { class: "llm-wire-attempts" }, ...items);
  return [words, strip, axis, ...(several ? [list] : [])];
}

/**
 * @param {ParameterUse[]} parameters
 * @returns {HTMLElement[]}
 */
function drawParameters(parameters) {
  if (parameters.length === 0) return [];
  const rows = parameters.map(({ name, value, places, why, sent }) => h("tr", { "data-sent": String(sent) },
    h("th", { scope: "row" }, name || "added"), h("td", {}, h("code", {}, value)),
    h("td", {}, sent ? h("code", {}, places.join(", ")) : "not sent"), h("td", { class: "llm-reason" }, why)));
  const head = ["Parameter", "Value", "Sent as", "Why"].map((name) => h("th", { scope: "col" }, name));
  const table = h("table", {}, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows));
  return [h("div", { class: "llm-table" }, table)];
}

/**
 * @param {View} view
 * @param {Exchange} exchange
 * @param {number} count of exchanges
 * @param {number} index
 * @returns {HTMLElement[]}
 */
function drawExchange(view, exchange, count, index) {
  const attempt = count > 1 ? ` · attempt ${exchange.attempt}` : "";
  const request = h("details", { class: "llm-part", open: index === count - 1 },
    h("summary", {}, `Request${attempt}`), h("p", { class: "llm-line" }, h("code", {}, exchange.line)),
    ...drawHeaders(exchange.headers), drawText(view, exchange.body, `Request body${attempt}`));
  const line = [exchange.status || "no response", exchange.headers_after && `headers after ${exchange.headers_after}`,
    exchange.received && exchange.size, exchange.lost].filter(Boolean).join(" · ");
  const isEmpty = !exchange.status && !exchange.received && !exchange.headers_after && !exchange.size;
  if (isEmpty && count === 1) return [request];
  const response = h("details", { class: "llm-part", open: index === count - 1 },
    h("summary", {}, `Response${attempt}`), h("p", { class: "llm-line" }, line),
    ...exchange.limits.map(([name, value]) => h("p", { class: "llm-line" }, h("code", {}, `${name}: ${value}`))),
    ...drawHeaders(exchange.answer_headers),
    ...(exchange.received ? [drawText(view, exchange.received, `Response body${attempt}`)] : []));
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
 * A preformatted text with a button that copies it.
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

/** @param {number} fraction */
function percent(fraction) {
  return `${(fraction * 100).toFixed(3)}%`;
}

/**
 * The timing of one answer, in ms after the first attempt was sent.
 * @typedef {object} Timeline
 * @property {{kind: string, from: number, ms: number, label: string, why?: string}[]} spans
 * @property {[number, number][]} ticks the start of each bin, and the number of deltas in it
 * @property {number} tick_ms the width of a bin
 * @property {number} total_ms
 */

/**
 * The place of a mark, as fractions of the whole.
 * @typedef {{left: number, width: number, height: number}} Mark
 */

/**
 * The place of each span; a very short one gets the width `least`.
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
 * The place of each bar. Its height grows with the square root of the number of deltas, so that a
 * single delta is still visible among hundreds.
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
