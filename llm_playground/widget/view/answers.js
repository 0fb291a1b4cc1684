// The answers in their grid. A pane far outside the viewport is an empty frame of the same height, so
// that a thousand answers cost no more than one screenful.

import { createFrame, createPane } from "./answer.js";
import { NO_GRID, gridOf, neighbor, withBaseline } from "./answer_grid.js";
import { NO_ANSWERS, counterpartOf, hasFailed, hasText, hiddenAnswers, isOpen, progress } from "./answer_state.js";
import { createToggle, h, isPressed } from "./dom.js";
import { fillGrid } from "./grid_view.js";
import { createFormChanges, createRunWalk } from "./run_walk.js";
import { keepFirstInPlace, createVisibilityTracker } from "./viewport.js";

/** @typedef {import("./answer.js").PaneView} PaneView */
/** @typedef {import("./answer_state.js").Pane} Pane */
/** @typedef {import("./answer_state.js").AnswerSet} AnswerSet */
/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./overlay.js").MenuItem} MenuItem */

// Up to this many answers, all panes stay filled, so that the browser's search finds their text.
const KEEP_ALL_UP_TO = 40;
// How often a streaming answer outside the viewport is painted.
const OFFSCREEN_EVERY_MS = 500;
// The part of the summary that is left out first where there is little room.
const ESTIMATE = /( \(estimate [^)]*\))/;
const EMPTY = "Answers appear here, side by side. Ctrl+Enter runs, ? shows all keys.";

/** @param {View} view */
export function createAnswers(view) {
  const summary = createSummary();
  const againstBaseline = (/** @type {string} */ key) => `Against the baseline; answer 1 is pinned if none is (${key})`;
  const asText = createToggle(view, "Text", "As the model wrote it (t)", () => {
    rememberForm(view, formOf());
    for (const pane of panes.values()) pane.setForm(formOf());
  });
  const onlyDifferent = createToggle(view, "Only different", againstBaseline("n"), () => {
    pinFirst(onlyDifferent);
    updateFrames();
  });
  const onlyFailed = createToggle(view, "Only failed", "Answers that failed, were blocked or not sent (f)",
    () => updateFrames());
  const showDifference = createToggle(view, "Diff", againstBaseline("d"), () => {
    pinFirst(showDifference);
    updateDifferences();
  });
  const tools = h("div", { class: "llm-answer-tools", hidden: true }, asText, onlyFailed, onlyDifferent, showDifference);
  const lead = h("div", { class: "llm-lead" }, summary.element, ...createFormChanges(view), view.status.element);
  const grid = h("div", { class: "llm-grid" });
  const element = h("div", { class: "llm-answers" },
    h("div", { class: "llm-head" }, lead, createRunWalk(view), tools), grid);
  /** @type {Map<number, HTMLElement>} */
  const frames = new Map();
  /** @type {Map<number, PaneView>} */
  const panes = new Map();
  /** @type {{grid: import("./answer_grid.js").Grid, rows: readonly import("./grid_view.js").RowView[]}} */
  const placed = { grid: NO_GRID, rows: [] };
  /** @type {{answers: AnswerSet | null, hidden: ReadonlySet<number>, offscreenAt: number, later: number}} */
  const painted = { answers: null, hidden: new Set(), offscreenAt: 0, later: 0 };
  view.signal.addEventListener("abort", () => clearTimeout(painted.later));
  const visibility = createVisibilityTracker(view, (number, isNear) => {
    if (isNear) fillFrame(number);
    else emptyFrame(number);
  });

  /** @returns {import("./answer_text.js").Form} */
  const formOf = () => (isPressed(asText) ? "text" : "formatted");
  asText.setAttribute("aria-pressed", String(rememberedForm(view) === "text"));

  const allPanes = () => painted.answers?.panes ?? [];
  const baseline = () => painted.answers?.baseline ?? null;
  const paneAt = (/** @type {number} */ number) => (
    [...allPanes(), ...(baseline()?.panes ?? [])].find((pane) => pane.number === number));
  const isPinned = (/** @type {number} */ number) => (
    number < 0 || (baseline()?.isOwn === true && baseline()?.answer === number));
  const counterpart = (/** @type {number} */ number) => (
    painted.answers ? counterpartOf(painted.answers, number) : null);

  /** @param {number} number */
  const pin = (number) => {
    const answer = number === 0 || isPinned(number) ? null : number;
    view.request("pin", { answer }).then(
      () => view.status.say(answer === null ? "No baseline." : `Answer ${answer} is the baseline.`),
      view.status.report);
  };
  /**
   * Pin the first answer when a comparison is turned on without a baseline.
   * @param {Element} toggle
   */
  const pinFirst = (toggle) => {
    const [first] = allPanes();
    if (isPressed(toggle) && !baseline() && first) pin(first.number);
  };
  /** @param {number} number */
  const retry = (number) => {
    const pane = paneAt(number);
    if (pane?.waits) view.model.send({ type: "retry_now", number });
    else if (pane && !isOpen(pane)) view.model.send({ type: "retry", number, changes: {} });
  };
  /** @type {(number: number) => readonly MenuItem[]} */
  const menuItems = (number) => [
    ...(number > 0 ? [{ label: "Retry", key: "r", act: () => retry(number) }] : []),
    { label: isPinned(number) ? "Unpin" : "Pin as baseline", key: "p", act: () => pin(number) },
    { label: "Show all or less", key: "Enter", act: () => panes.get(number)?.toggleAll() },
    ...(number > 0 ? view.answerMenuItems.map(({ label, key, act }) => ({ label, ...(key && { key }), act: () => act(number) })) : []),
  ];

  /** @param {AnswerSet} answers */
  const rebuild = (answers) => {
    const focused = grid.contains(document.activeElement) ? numberAt(document.activeElement) : 0;
    for (const pane of panes.values()) pane.clear();
    panes.clear();
    frames.clear();
    visibility.reset();
    const { baseline } = answers;
    for (const pane of [...answers.panes, ...(baseline?.panes ?? [])]) frames.set(pane.number, createFrame(pane));
    placed.grid = withBaseline(gridOf(answers.panes), baseline);
    placed.rows = fillGrid(grid, placed.grid, frames);
    for (const [number, frame] of frames) visibility.watch(frame, number);
    if (focused) (frames.get(focused) ?? frames.values().next().value)?.focus({ preventScroll: true });
  };
  /** @param {number} number */
  const fillFrame = (number) => {
    const [pane, frame] = [paneAt(number), frames.get(number)];
    if (!pane || !frame) return;
    const isNew = !panes.has(number);
    const paneView = panes.get(number) ?? createPane(view, frame, pane, menuItems);
    panes.set(number, paneView);
    if (isNew) paneView.setForm(formOf());
    paneView.paint(pane);
    paneView.afterPaint();
    updateDifference(number);
  };
  /** @param {number} number */
  const emptyFrame = (number) => {
    const frame = frames.get(number);
    if (frames.size <= KEEP_ALL_UP_TO || frame?.contains(document.activeElement)) return;
    panes.get(number)?.clear();
    panes.delete(number);
  };
  const updateSummary = () => {
    const all = allPanes().length;
    const shown = painted.hidden.size > 0 ? `${all - painted.hidden.size} of ${all} shown` : "";
    summary.set(painted.answers && all > 0 ? [shown, progress(painted.answers)].filter(Boolean).join(" · ") : EMPTY);
  };
  const updateFrames = () => {
    const only = { failed: isPressed(onlyFailed), different: isPressed(onlyDifferent) };
    painted.hidden = hiddenAnswers(painted.answers ?? NO_ANSWERS, only);
    for (const [number, frame] of frames) {
      frame.classList.toggle("llm-baseline", isPinned(number));
      frame.inert = painted.hidden.has(number);
    }
    // An answer that is left out keeps its place in a row with others.
    for (const { elements, frames: own } of placed.rows) {
      const isEmpty = own.every((frame) => frame.inert || frame.dataset["llm"] === "baseline");
      for (const element of elements) element.hidden = isEmpty;
    }
    tools.hidden = allPanes().length === 0;
    const canCompare = allPanes().length + (baseline()?.panes.length ?? 0) > 1;
    for (const one of [onlyDifferent, showDifference]) one.hidden = !canCompare;
    onlyFailed.hidden = !isPressed(onlyFailed) && !allPanes().some(hasFailed);
    updateSummary();
  };
  /** @param {number} number */
  const updateDifference = (number) => {
    const [pane, paneView, other, run] = [paneAt(number), panes.get(number), counterpart(number), painted.answers?.run];
    if (!pane || !paneView) return;
    if (!isPressed(showDifference) || !other || isOpen(pane) || isOpen(other) || !hasText(pane)) {
      paneView.compare(null);
      return;
    }
    view.request("difference", { answer: number }).then(
      (found) => {
        const isCurrent = painted.answers?.run === run && counterpart(number)?.number === other.number;
        if (isPressed(showDifference) && isCurrent) paneView.compare(found);
      },
      view.status.report);
  };
  const updateDifferences = () => {
    for (const number of panes.keys()) updateDifference(number);
  };

  /** Returns a test for the panes to paint now: streaming ones outside the viewport are painted less often. */
  const isDue = () => {
    const all = performance.now() - painted.offscreenAt > OFFSCREEN_EVERY_MS;
    if (all) painted.offscreenAt = performance.now();
    return (/** @type {Pane} */ pane) => all || !isOpen(pane) || visibility.isNear(pane.number);
  };
  /** @param {AnswerSet} answers */
  const paint = (answers) => {
    const before = painted.answers;
    const isRepinned = answers.baseline !== (before?.baseline ?? null);
    const isNewRun = answers.run !== before?.run
      || (isRepinned && (answers.baseline?.panes ?? []).length + (before?.baseline?.panes ?? []).length > 0);
    if (isNewRun) rebuild(answers);
    painted.answers = answers;
    if (isNewRun && frames.size <= KEEP_ALL_UP_TO) for (const number of frames.keys()) fillFrame(number);
    const due = answers.panes.filter(isDue());
    const hasEnded = ended(before, answers);
    const keepInView = hasEnded && !isNewRun ? keepFirstInPlace(grid, frames.values()) : () => {};
    for (const pane of due) panes.get(pane.number)?.paint(pane);
    for (const pane of due) panes.get(pane.number)?.afterPaint();
    if (hasEnded) {
      for (const { number, state } of answers.panes) frames.get(number)?.setAttribute("data-state", state);
      offerAll();
      keepInView();
    }
    if (due.length < answers.panes.length) painted.later ||= setTimeout(paintOffscreen, OFFSCREEN_EVERY_MS);
    updateSummary();
    if (isNewRun || isRepinned || hasEnded) {
      updateFrames();
      updateDifferences();
    }
  };
  // All sizes are read before anything is written, so that the page is laid out once.
  const offerAll = () => {
    const isWide = grid.scrollWidth > grid.clientWidth;
    const cut = [...panes.values()].map((pane) => /** @type {const} */ ([pane, pane.isCut()]));
    for (const [pane, isCut] of cut) pane.offerAll(isCut);
    grid.classList.toggle("llm-sticky", placed.rows.length > 0 && !placed.grid.wraps && !isWide);
  };
  const sizes = new ResizeObserver(offerAll);
  sizes.observe(grid);
  view.signal.addEventListener("abort", () => sizes.disconnect());
  // Paint the skipped panes even if no further message arrives.
  const paintOffscreen = () => {
    painted.later = 0;
    if (painted.answers) paint(painted.answers);
  };

  /** @param {EventTarget | null} target */
  const numberAt = (target) => {
    const pane = target instanceof Element ? target.closest(".llm-pane") : null;
    return pane instanceof HTMLElement ? Number(pane.dataset["number"]) : 0;
  };
  /**
   * @param {number} number
   * @param {string} key
   */
  const move = (number, key) => {
    const across = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
    const next = neighbor(placed.grid, number, key, (one) => !painted.hidden.has(one), across);
    for (const [at, frame] of frames) frame.setAttribute("tabindex", at === next ? "0" : "-1");
    frames.get(next)?.focus();
  };
  const focusable = () => [...frames.values()].filter((frame) => !frame.hidden && !frame.inert);
  return {
    element, lead, tools, paint, numberAt, move, pin, retry,
    pane: (/** @type {number} */ number) => panes.get(number),
    toggleDifference: () => showDifference.click(),
    toggleOnlyDifferent: () => onlyDifferent.click(),
    toggleOnlyFailed: () => (onlyFailed.hidden ? view.status.say("No answer failed.") : onlyFailed.click()),
    toggleText: () => asText.click(),
    /** Focus the answer that had the focus last, or the first; returns whether there is one. */
    focus: () => {
      const frame = focusable().find((one) => one.tabIndex === 0) ?? focusable()[0];
      frame?.focus();
      return frame !== undefined;
    },
    /** Focus the first answer of the shown Run without scrolling; returns whether there is one. */
    focusFirst: () => {
      const [first] = focusable();
      for (const frame of frames.values()) frame.setAttribute("tabindex", frame === first ? "0" : "-1");
      first?.focus({ preventScroll: true });
      return first !== undefined;
    },
  };
}

/** Create the line that sums up the answers. */
function createSummary() {
  const element = h("span", { class: "llm-progress" });
  return {
    element,
    set: (/** @type {string} */ text) => {
      if (element.textContent === text) return;
      element.replaceChildren(...text.split(ESTIMATE).map((part, at) => (
        at % 2 === 1 ? h("span", { class: "llm-estimate" }, part) : part)));
      element.title = text;
    },
  };
}

/**
 * Whether an answer has ended between two states of the same Run.
 * @param {AnswerSet | null} before
 * @param {AnswerSet} after
 */
function ended(before, after) {
  return after.panes.some((pane, at) => !isOpen(pane) && before?.panes[at]?.state !== pane.state);
}

// How the answers of each playground were last shown is kept by the browser.
const FORM_KEY = "llm_playground:answers-as:";

/** @param {View} view */
function rememberedForm(view) {
  return localStorage.getItem(FORM_KEY + (view.model.get("name") ?? ""));
}

/**
 * @param {View} view
 * @param {import("./answer_text.js").Form} form
 */
function rememberForm(view, form) {
  localStorage.setItem(FORM_KEY + (view.model.get("name") ?? ""), form);
}
