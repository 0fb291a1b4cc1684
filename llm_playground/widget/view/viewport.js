// Which answers are near the viewport, and how the first visible one keeps its place.

/** @typedef {import("./dom.js").View} View */

// Answers within one screenful above or below count as near.
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

/**
 * Remember where the first visible answer is. The returned function scrolls it back there after answers
 * above it have become shorter.
 * @param {HTMLElement} grid
 * @param {Iterable<HTMLElement>} frames
 */
export function keepFirstInPlace(grid, frames) {
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
