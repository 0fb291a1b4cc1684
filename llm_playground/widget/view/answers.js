// The answers in their grid. A pane far outside the viewport is an empty frame of the same height, so
// that a thousand answers cost no more than one screenful.

import { createFrame, createPane } from "./answer.js";
import { NO_GRID, gridOf, neighbor } from "./answer_grid.js";
import { isOpen, progress } from "./answer_state.js";
import { button, follow, h, setText, show } from "./dom.js";
import { fillGrid } from "./grid_view.js";

/** @typedef {import("./answer.js").PaneView} PaneView */
/** @typedef {import("./answer_state.js").Pane} Pane */
/** @typedef {import("./answer_state.js").AnswerSet} AnswerSet */
/** @typedef {import("./dom.js").View} View */
/** @typedef {import("./overlay.js").MenuItem} MenuItem */

// Up to this many answers, all panes stay filled, so that the browser's search finds their text.
const KEEP_ALL_UP_TO = 40;
// How often a streaming answer outside the viewport is painted.
const OFFSCREEN_EVERY_MS = 500;
const EMPTY = "Answers appear here, side by side. Ctrl+Enter runs, ? shows all keys.";

/** @param {View} view */
export function createAnswers(view) {
  const line = h("span", { class: "llm-progress" });
  const stopAll = button("Stop all", { "data-llm": "stop", hidden: true }, view.signal, () => {
    view.model.send({ type: "stop" });
  });
  const onlyDifferent = createToggle(view, "Only different", () => updateFrames());
  const showDifference = createToggle(view, "Diff", () => updateDifferences());
  const tools = h("div", { class: "llm-answer-tools", hidden: true }, onlyDifferent, showDifference);
  const grid = h("div", { class: "llm-grid" });
  const element = h("div", { class: "llm-answers" },
    h("div", { class: "llm-head" }, line, tools, stopAll), grid);
  /** @type {Map<number, HTMLElement>} */
  const frames = new Map();
  /** @type {Map<number, PaneView>} */
  const panes = new Map();
  /** @type {{grid: import("./answer_grid.js").Grid, rows: readonly import("./grid_view.js").RowView[]}} */
  const placed = { grid: NO_GRID, rows: [] };
  /** @type {{answers: AnswerSet | null, offscreenAt: number, later: number}} */
  const painted = { answers: null, offscreenAt: 0, later: 0 };
  view.signal.addEventListener("abort", () => clearTimeout(painted.later));
  const visibility = createVisibilityTracker(view, (number, isNear) => {
    if (isNear) fillFrame(number);
    else emptyFrame(number);
  });

  const allPanes = () => painted.answers?.panes ?? [];
  const paneAt = (/** @type {number} */ number) => allPanes().find((pane) => pane.number === number);
  const baseline = () => paneAt(Number(view.model.get("baseline") ?? 0));

  /** @param {number} number */
  const pin = (number) => {
    view.edit("baseline", view.model.get("baseline") === number ? null : number);
    view.announce(view.model.get("baseline") === number ? `Answer ${number} is the baseline.` : "No baseline.");
  };
  /** @param {number} number */
  const retry = (number) => {
    const pane = paneAt(number);
    if (pane?.waits) view.model.send({ type: "retry_now", number });
    else if (pane && !isOpen(pane)) view.model.send({ type: "retry", number, changes: {} });
  };
  /** @type {(number: number) => readonly MenuItem[]} */
  const menuItems = (number) => [
    { label: "Retry", key: "r", act: () => retry(number) },
    { label: view.model.get("baseline") === number ? "Unpin" : "Pin as baseline", key: "p", act: () => pin(number) },
    { label: "Show all or less", key: "Enter", act: () => panes.get(number)?.toggleAll() },
    ...view.answerMenuItems.map(({ label, key, act }) => ({ label, ...(key && { key }), act: () => act(number) })),
  ];

  /** @param {AnswerSet} answers */
  const rebuild = (answers) => {
    const focused = grid.contains(document.activeElement);
    for (const pane of panes.values()) pane.clear();
    panes.clear();
    frames.clear();
    visibility.reset();
    for (const pane of answers.panes) frames.set(pane.number, createFrame(pane));
    placed.grid = gridOf(answers.panes);
    placed.rows = fillGrid(grid, placed.grid, frames);
    for (const [number, frame] of frames) visibility.watch(frame, number);
    if (focused) frames.values().next().value?.focus({ preventScroll: true });
  };
  /** @param {number} number */
  const fillFrame = (number) => {
    const [pane, frame] = [paneAt(number), frames.get(number)];
    if (!pane || !frame) return;
    const paneView = panes.get(number) ?? createPane(view, frame, pane, menuItems);
    panes.set(number, paneView);
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
  const updateFrames = () => {
    const [base, only] = [baseline(), isPressed(onlyDifferent)];
    for (const pane of allPanes()) {
      const frame = frames.get(pane.number);
      if (!frame) continue;
      frame.classList.toggle("llm-baseline", pane === base);
      frame.hidden = only && base !== undefined && pane !== base && !isOpen(pane) && pane.digest === base.digest;
    }
    for (const { elements, frames: own } of placed.rows) {
      const isEmpty = own.every((frame) => frame.hidden);
      for (const element of elements) if (element.dataset["llm"] !== "pane") element.hidden = isEmpty;
    }
    tools.hidden = allPanes().length < 2;
    for (const one of [onlyDifferent, showDifference]) one.setAttribute("aria-disabled", String(base === undefined));
  };
  /** @param {number} number */
  const updateDifference = (number) => {
    const [pane, paneView, base] = [paneAt(number), panes.get(number), baseline()];
    if (!pane || !paneView) return;
    if (!isPressed(showDifference) || !base || pane === base || isOpen(pane)) {
      paneView.compare(null, 0);
      return;
    }
    view.request("difference", { baseline: base.number, answer: number }).then(
      (parts) => {
        if (isPressed(showDifference) && baseline()?.number === base.number) paneView.compare(parts, base.number);
      },
      (/** @type {Error} */ error) => view.announce(error.message));
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
    const isNewRun = answers.run !== before?.run;
    if (isNewRun) rebuild(answers);
    painted.answers = answers;
    if (isNewRun && frames.size <= KEEP_ALL_UP_TO) for (const number of frames.keys()) fillFrame(number);
    const due = answers.panes.filter(isDue());
    const hasEnded = ended(before, answers);
    const keepInView = hasEnded && !isNewRun ? anchorOf(grid, frames.values()) : () => {};
    for (const pane of due) panes.get(pane.number)?.paint(pane);
    for (const pane of due) panes.get(pane.number)?.afterPaint();
    if (hasEnded) {
      offerAll();
      keepInView();
    }
    if (due.length < answers.panes.length) painted.later ||= setTimeout(paintOffscreen, OFFSCREEN_EVERY_MS);
    setText(line, answers.panes.length > 0 ? progress(answers) : EMPTY);
    show(stopAll, answers.running, frames.values().next().value ?? element);
    if (isNewRun || hasEnded) {
      updateFrames();
      updateDifferences();
    }
  };
  // All sizes are read before anything is written, so that the page is laid out once.
  const offerAll = () => {
    const cut = [...panes.values()].map((pane) => /** @type {const} */ ([pane, pane.isCut()]));
    for (const [pane, isCut] of cut) pane.offerAll(isCut);
  };
  const sizes = new ResizeObserver(offerAll);
  sizes.observe(grid);
  view.signal.addEventListener("abort", () => sizes.disconnect());
  // Paint the skipped panes even if no further message arrives.
  const paintOffscreen = () => {
    painted.later = 0;
    if (painted.answers) paint(painted.answers);
  };
  follow(view, ["baseline"], () => {
    updateFrames();
    updateDifferences();
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
    const across = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
    const next = neighbor(placed.grid, number, key, (one) => !frames.get(one)?.hidden, across);
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
 * Note where the first visible answer stands. The returned function scrolls it back there, after answers
 * above it have become shorter.
 * @param {HTMLElement} grid
 * @param {Iterable<HTMLElement>} frames
 */
function anchorOf(grid, frames) {
  const scroller = scrollerOf(grid);
  const top = scroller.getBoundingClientRect().top;
  for (const frame of frames) {
    const before = frame.getBoundingClientRect();
    if (before.bottom > Math.max(top, 0) && before.height > 0) {
      return () => { scroller.scrollTop += frame.getBoundingClientRect().top - before.top; };
    }
  }
  return () => {};
}

/**
 * The nearest element around another one that scrolls vertically.
 * @param {Element} element
 * @returns {Element}
 */
function scrollerOf(element) {
  for (let at = element.parentElement; at; at = at.parentElement) {
    if (at.scrollHeight > at.clientHeight + 1 && /auto|scroll/.test(getComputedStyle(at).overflowY)) return at;
  }
  return document.documentElement;
}

/**
 * Whether an answer has ended between two states of the same Run.
 * @param {AnswerSet | null} before
 * @param {AnswerSet} after
 */
function ended(before, after) {
  return after.panes.some((pane, at) => !isOpen(pane) && before?.panes[at]?.state !== pane.state);
}

/**
 * Create a toggle button.
 * @param {View} view
 * @param {string} label
 * @param {() => void} react
 */
function createToggle(view, label, react) {
  const attributes = { class: "llm-link", "aria-pressed": "false", title: "Pin an answer as baseline first (p)" };
  const element = button(label, attributes, view.signal, () => {
    element.setAttribute("aria-pressed", String(!isPressed(element)));
    react();
  });
  return element;
}

/** @param {Element} element */
function isPressed(element) {
  return element.getAttribute("aria-pressed") === "true";
}

const MARGIN = "100% 0px";

/**
 * Track which panes are in or near the viewport.
 * @param {View} view
 * @param {(number: number, isNear: boolean) => void} onChange
 */
export function createVisibilityTracker({ signal }, onChange) {
  /** @type {Map<Element, number>} */
  const watched = new Map();
  /** @type {Set<number>} */
  const near = new Set();
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const number = watched.get(target);
      if (number === undefined) continue;
      if (isIntersecting) near.add(number);
      else near.delete(number);
      onChange(number, isIntersecting);
    }
  }, { rootMargin: MARGIN });
  signal.addEventListener("abort", () => observer.disconnect());
  return {
    /**
     * @param {Element} element
     * @param {number} number
     */
    watch: (element, number) => {
      watched.set(element, number);
      observer.observe(element);
    },
    isNear: (/** @type {number} */ number) => near.has(number),
    reset: () => {
      observer.disconnect();
      watched.clear();
      near.clear();
    },
  };
}
