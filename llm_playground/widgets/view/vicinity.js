// Which panes are near what is seen.

/** @typedef {import("./dom.js").View} View */

const MARGIN = "100% 0px";

/**
 * @param {View} view
 * @param {(number: number, isNear: boolean) => void} changed
 */
export function createVicinity({ signal }, changed) {
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
      changed(number, isIntersecting);
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
    forget: () => {
      observer.disconnect();
      watched.clear();
      near.clear();
    },
  };
}
