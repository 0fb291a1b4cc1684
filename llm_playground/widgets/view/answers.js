// The answers: a column per model, panes of one height. A pane far from what is seen is an empty
// frame of the same height, so that a thousand answers cost what a screenful does.

import { h, button, follow, setText, show } from "./dom.js";
import { columns, isOpen, neighbour, progress } from "./panes.js";
import { createFrame, createPane } from "./pane.js";
import { createVicinity } from "./vicinity.js";

/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./pane.js").PaneView} PaneView */
/** @typedef {import("./panes.js").Pane} Pane */
/** @typedef {import("./panes.js").Sheet} Sheet */
/** @typedef {import("./menu.js").Item} Item */

// So many are always there: whoever looks for text on the page finds it.
const ALL_UP_TO = 40;
// How often a growing answer that nobody sees is painted.
const UNSEEN_EVERY_MS = 500;
const EMPTY = "Answers appear here, side by side. Ctrl+Enter runs, ? shows all keys.";

/** @param {View} view */
export function createAnswers(view) {
  const line = h("span", { class: "llm-progress" });
  const stopAll = button("Stop all", { "data-llm": "stop", hidden: true }, view.signal, () => {
    view.model.send({ type: "stop" });
  });
  const onlyDifferent = toggle(view, "Only different", () => arrange());
  const showDifference = toggle(view, "Diff", () => compareAll());
  const tools = h("div", { class: "llm-answer-tools", hidden: true }, onlyDifferent, showDifference);
  const grid = h("div", { class: "llm-grid" });
  const element = h("div", { class: "llm-answers" },
    h("div", { class: "llm-head" }, line, tools, stopAll), grid);
  /** @type {Map<number, HTMLElement>} */
  const frames = new Map();
  /** @type {Map<number, PaneView>} */
  const panes = new Map();
  /** @type {{sheet: Sheet | null, unseenAt: number, later: number}} */
  const drawn = { sheet: null, unseenAt: 0, later: 0 };
  view.signal.addEventListener("abort", () => clearTimeout(drawn.later));
  const vicinity = createVicinity(view, (number, isNear) => (isNear ? fill(number) : empty(number)));

  const sheetPanes = () => drawn.sheet?.panes ?? [];
  const paneAt = (/** @type {number} */ number) => sheetPanes().find((pane) => pane.number === number);
  const baseline = () => paneAt(Number(view.model.get("baseline") ?? 0));

  /** @param {number} number */
  const pin = (number) => {
    view.edit("baseline", view.model.get("baseline") === number ? null : number);
    view.say(view.model.get("baseline") === number ? `Answer ${number} is the baseline.` : "No baseline.");
  };
  /** @param {number} number */
  const retry = (number) => {
    const pane = paneAt(number);
    if (pane?.waits) view.model.send({ type: "retry_now", number });
    else if (pane && !isOpen(pane)) view.model.send({ type: "retry", number, changes: {} });
  };
  /** @type {(number: number) => readonly Item[]} */
  const itemsOf = (number) => [
    { label: "Retry", key: "r", act: () => retry(number) },
    { label: view.model.get("baseline") === number ? "Unpin" : "Pin as baseline", key: "p", act: () => pin(number) },
    { label: "Enlarge", key: "Enter", act: () => panes.get(number)?.enlarge() },
    ...view.answerItems.map(({ label, key, act }) => ({ label, ...(key && { key }), act: () => act(number) })),
  ];

  /** @param {Sheet} sheet */
  const rebuild = (sheet) => {
    const focused = grid.contains(document.activeElement);
    for (const pane of panes.values()) pane.end();
    for (const known of [panes, frames]) known.clear();
    vicinity.forget();
    for (const pane of sheet.panes) frames.set(pane.number, createFrame(pane));
    grid.replaceChildren(...columns(sheet.panes).map((column) => h("section", { class: "llm-column" },
      h("h4", { title: column.model }, column.model.replace(/^[a-z-]+:/, "")),
      ...column.panes.map((pane) => /** @type {HTMLElement} */ (frames.get(pane.number))))));
    for (const [number, frame] of frames) vicinity.watch(frame, number);
    const [first] = frames.values();
    first?.setAttribute("tabindex", "0");
    if (focused) first?.focus({ preventScroll: true });
  };
  /** @param {number} number */
  const fill = (number) => {
    const [pane, frame] = [paneAt(number), frames.get(number)];
    if (!pane || !frame) return;
    const filled = panes.get(number) ?? createPane(view, frame, pane, itemsOf);
    panes.set(number, filled);
    filled.paint(pane);
    filled.settle();
    compareOne(number);
  };
  /** @param {number} number */
  const empty = (number) => {
    const frame = frames.get(number);
    if (frames.size <= ALL_UP_TO || frame?.contains(document.activeElement)) return;
    panes.get(number)?.end();
    panes.delete(number);
  };
  const arrange = () => {
    const [base, only] = [baseline(), isPressed(onlyDifferent)];
    for (const pane of sheetPanes()) {
      const frame = frames.get(pane.number);
      if (!frame) continue;
      frame.classList.toggle("llm-baseline", pane === base);
      frame.hidden = only && base !== undefined && pane !== base && !isOpen(pane) && pane.digest === base.digest;
    }
    const many = sheetPanes().length > 1;
    tools.hidden = !many;
    for (const one of [onlyDifferent, showDifference]) one.setAttribute("aria-disabled", String(base === undefined));
  };
  /** @param {number} number */
  const compareOne = (number) => {
    const [pane, painted, base] = [paneAt(number), panes.get(number), baseline()];
    if (!pane || !painted) return;
    if (!isPressed(showDifference) || !base || pane === base || isOpen(pane)) {
      painted.compare(null, 0);
      return;
    }
    view.ask("difference", { baseline: base.number, answer: number }).then(
      (pieces) => isPressed(showDifference) && baseline()?.number === base.number && painted.compare(pieces, base.number),
      (/** @type {Error} */ error) => view.say(error.message));
  };
  const compareAll = () => {
    for (const number of panes.keys()) compareOne(number);
  };

  /** Growing answers that nobody sees are painted now and then, all others at once. */
  const isDue = () => {
    const all = performance.now() - drawn.unseenAt > UNSEEN_EVERY_MS;
    if (all) drawn.unseenAt = performance.now();
    return (/** @type {Pane} */ pane) => all || !isOpen(pane) || vicinity.isNear(pane.number);
  };
  /** @param {Sheet} sheet */
  const paint = (sheet) => {
    const before = drawn.sheet;
    const anew = sheet.run !== before?.run;
    if (anew) rebuild(sheet);
    drawn.sheet = sheet;
    if (anew && frames.size <= ALL_UP_TO) for (const number of frames.keys()) fill(number);
    const due = sheet.panes.filter(isDue());
    for (const pane of due) panes.get(pane.number)?.paint(pane);
    for (const pane of due) panes.get(pane.number)?.settle();
    if (due.length < sheet.panes.length && !drawn.later) drawn.later = setTimeout(paintUnseen, UNSEEN_EVERY_MS);
    setText(line, sheet.panes.length > 0 ? progress(sheet) : EMPTY);
    show(stopAll, sheet.running, frames.values().next().value ?? element);
    if (anew || ended(before, sheet)) {
      arrange();
      compareAll();
    }
  };
  // No message may come for long: what was left out is painted all the same.
  const paintUnseen = () => {
    drawn.later = 0;
    if (drawn.sheet) paint(drawn.sheet);
  };
  follow(view, ["baseline"], () => {
    arrange();
    compareAll();
  });

  /** @param {EventTarget | null} target */
  const numberAt = (target) => {
    const pane = target instanceof Element ? target.closest("[data-llm=pane]") : null;
    return pane instanceof HTMLElement ? Number(pane.dataset["number"]) : 0;
  };
  /**
   * @param {number} number
   * @param {string} key
   */
  const move = (number, key) => {
    const shown = sheetPanes().filter((pane) => !frames.get(pane.number)?.hidden);
    const next = neighbour(columns(shown), number, key);
    for (const [at, frame] of frames) frame.setAttribute("tabindex", at === next ? "0" : "-1");
    frames.get(next)?.focus();
  };
  return {
    element, tools, paint, numberAt, move, pin, retry,
    pane: (/** @type {number} */ number) => panes.get(number),
    toggleDifference: () => showDifference.click(),
    toggleOnlyDifferent: () => onlyDifferent.click(),
  };
}

/**
 * Whether an answer has ended between two sheets of the same Run.
 * @param {Sheet | null} before
 * @param {Sheet} after
 */
function ended(before, after) {
  return after.panes.some((pane, at) => !isOpen(pane) && before?.panes[at]?.state !== pane.state);
}

/**
 * A button that stays pressed.
 * @param {View} view
 * @param {string} label
 * @param {() => void} react
 */
function toggle(view, label, react) {
  const element = button(label, { class: "llm-link", "aria-pressed": "false", title: "Pin an answer as baseline first (p)" },
    view.signal, () => {
      element.setAttribute("aria-pressed", String(!isPressed(element)));
      react();
    });
  return element;
}

/** @param {Element} element */
function isPressed(element) {
  return element.getAttribute("aria-pressed") === "true";
}
