// New content in the place of old, without losing the focus: JupyterLab would get the keys.

/**
 * Replace what is in a container, unless it would show the same. The focus stays on what is called
 * the same, else it goes to `heir`.
 * @param {HTMLElement} container
 * @param {unknown} state what the content depends on, as JSON
 * @param {() => readonly Node[]} make
 * @param {HTMLElement} heir
 */
export function refill(container, state, make, heir) {
  const shown = JSON.stringify(state);
  if (container.dataset.shown === shown) return;
  container.dataset.shown = shown;
  const focused = container.contains(document.activeElement) ? document.activeElement : null;
  const content = make();
  if (focused) heir.focus({ preventScroll: true });
  container.replaceChildren(...content);
  if (!focused) return;
  const controls = [...container.querySelectorAll("button, a")];
  const same = controls.find((control) => calledAs(control) === calledAs(focused));
  if (same instanceof HTMLElement) same.focus({ preventScroll: true });
}

/** @param {Element} element */
function calledAs(element) {
  return element.getAttribute("aria-label") ?? element.textContent;
}
