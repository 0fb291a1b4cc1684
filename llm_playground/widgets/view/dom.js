// Small tools over the DOM, and the widget's model as anywidget hands it over.

/**
 * @typedef {object} Model
 * @property {(name: string) => any} get
 * @property {(name: string, value: unknown) => void} set
 * @property {() => void} save_changes
 * @property {(content: unknown, callbacks?: undefined, buffers?: ArrayBuffer[]) => void} send
 * @property {(event: string, callback: (...values: any[]) => void) => void} on
 * @property {(event: string, callback: (...values: any[]) => void) => void} off
 */

/**
 * What every part of one view shares. `signal` ends with the view.
 * @typedef {object} View
 * @property {Model} model
 * @property {AbortSignal} signal
 * @property {(name: string, value: unknown) => void} edit set a trait; sent soon
 * @property {string} id tells this view from the widget's others
 * @property {readonly string[]} formTraits what the form is made of
 * @property {(given?: Record<string, unknown>) => void} run send the form, and what is said beside it
 * @property {() => void} settle send now what was edited, before a question about it
 * @property {(sentence: string) => void} say tell a screen reader
 * @property {import("./link.js").Ask} ask
 * @property {() => void} afterRun called when Run was pressed
 * @property {{label: string, key?: string, act: (number: number) => void}[]} answerItems what else the
 *   menu of an answer offers
 * @property {Map<HTMLElement, (event: KeyboardEvent) => boolean>} localKeys what parts do with keys
 *   while the focus is in them, asked before the panel's own keys; true when something was done
 */

/**
 * An element. An attribute that is `true` is set empty; `false` and `null` leave it out.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number | boolean | null>} attributes
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

/**
 * A button that is never `disabled`: that would drop the focus, and JupyterLab would get the keys.
 * @param {string} text
 * @param {Record<string, string | number | boolean | null>} attributes
 * @param {AbortSignal} signal
 * @param {() => void} press
 */
export function button(text, attributes, signal, press) {
  const element = h("button", { type: "button", ...attributes }, text);
  const pressed = () => {
    if (element.getAttribute("aria-disabled") !== "true") press();
  };
  element.addEventListener("click", pressed, { signal });
  return element;
}

/**
 * Call `react` now and whenever one of the traits changes, until the view ends.
 * @param {View} view
 * @param {readonly string[]} traits
 * @param {() => void} react
 */
export function follow({ model, signal }, traits, react) {
  const events = traits.map((trait) => `change:${trait}`);
  for (const event of events) model.on(event, react);
  signal.addEventListener("abort", () => {
    for (const event of events) model.off(event, react);
  });
  react();
}

/**
 * Set text only where it differs: a screen reader and the layout see no change otherwise.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Hide a button; when it has the focus, hand it on first, so that it stays in the panel.
 * @param {HTMLElement} element
 * @param {boolean} shown
 * @param {HTMLElement} heir
 */
export function show(element, shown, heir) {
  if (!shown && element.contains(document.activeElement)) heir.focus({ preventScroll: true });
  element.hidden = !shown;
}

/** An id that no other element of the page has. */
export function newId() {
  return `llm-${Math.random().toString(36).slice(2)}`;
}

/**
 * What shows this page, as Jupyter's own pages tell it: "JupyterLab 4.6.6"; empty elsewhere.
 * @returns {string}
 */
export function frontEnd() {
  const said = document.getElementById("jupyter-config-data")?.textContent;
  const { appName = "", appVersion = "" } = said ? JSON.parse(said) : {};
  return `${appName} ${appVersion}`.trim();
}
