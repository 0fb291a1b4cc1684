// DOM helpers shared by all parts of the view: elements, focus, clipboard, sanitized HTML, text areas.

import { movedPosition } from "./shared_text.js";

/**
 * The widget's model as anywidget passes it to `render`.
 * @typedef {object} Model
 * @property {(name: string) => any} get
 * @property {(name: string, value: unknown) => void} set
 * @property {() => void} save_changes
 * @property {(content: unknown, callbacks?: undefined, buffers?: ArrayBuffer[]) => void} send
 * @property {(event: string, callback: (...values: any[]) => void) => void} on
 * @property {(event: string, callback: (...values: any[]) => void) => void} off
 */

/**
 * The context that all parts of one view share. `signal` aborts when the view is removed.
 * @typedef {object} View
 * @property {Model} model
 * @property {AbortSignal} signal
 * @property {(name: string, value: unknown) => void} edit set a trait; the kernel gets the change
 *   shortly after
 * @property {string} id distinguishes this view from the widget's other views
 * @property {readonly string[]} formTraits the traits that make up the form
 * @property {(extra?: Record<string, unknown>) => void} run send the form, with extra arguments if any
 * @property {() => void} flush send pending edits now, before a request that depends on them
 * @property {(sentence: string) => void} announce have a screen reader read a sentence
 * @property {import("./status_line.js").StatusLine} status the line of messages
 * @property {import("./api_keys.js").KeyDialog} keyDialog the dialog that takes a provider's key
 * @property {import("./kernel.js").Requester} request
 * @property {() => void} afterOpen called when a Run was opened from elsewhere
 * @property {(sentence: string, undo: () => unknown) => void} offerUndo report an action with a button Undo
 * @property {() => void} afterRun called after Run was pressed
 * @property {{label: string, key?: string, act: (number: number) => void}[]} answerMenuItems
 *   more items for the menu of an answer
 * @property {Map<HTMLElement, (event: KeyboardEvent) => boolean>} localKeys key handlers of
 *   elements that contain the focus; they run before the panel's own keys and return whether they
 *   handled the key
 */

/**
 * Create an element. `true` sets an empty attribute; `false` and `null` omit it.
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
 * Create a button. To turn it off, set `aria-disabled`: a disabled button would lose the focus, and
 * JupyterLab would then handle the keys.
 * @param {string} text
 * @param {Record<string, string | number | boolean | null>} attributes
 * @param {AbortSignal} signal
 * @param {() => void} onPress
 */
export function button(text, attributes, signal, onPress) {
  const element = h("button", { type: "button", ...attributes }, text);
  element.addEventListener("click", () => {
    if (element.getAttribute("aria-disabled") !== "true") onPress();
  }, { signal });
  return element;
}

/**
 * Create a toggle button.
 * @param {View} view
 * @param {string} label
 * @param {string} title
 * @param {() => void} react
 */
export function createToggle(view, label, title, react) {
  const attributes = { class: "llm-link", "aria-pressed": "false", title };
  const element = button(label, attributes, view.signal, () => {
    element.setAttribute("aria-pressed", String(!isPressed(element)));
    react();
  });
  return element;
}

/**
 * Whether a toggle button is on.
 * @param {Element} element
 */
export function isPressed(element) {
  return element.getAttribute("aria-pressed") === "true";
}

/**
 * Call `react` now and whenever one of the traits changes, until the view is removed.
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
 * Set an element's text if it differs, so that screen readers and layout see no needless change.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Show or hide an element. If it contains the focus when hidden, the focus moves to `fallbackFocus`,
 * so that it stays in the panel.
 * @param {HTMLElement} element
 * @param {boolean} shown
 * @param {HTMLElement} fallbackFocus
 */
export function show(element, shown, fallbackFocus) {
  if (!shown && element.contains(document.activeElement)) fallbackFocus.focus({ preventScroll: true });
  element.hidden = !shown;
}

/** A random element id. */
export function newId() {
  return `llm-${Math.random().toString(36).slice(2)}`;
}

/**
 * Name and version of the front end, such as "JupyterLab 4.6.6"; empty outside Jupyter's own pages.
 * @returns {string}
 */
export function frontEnd() {
  const config = document.getElementById("jupyter-config-data")?.textContent;
  const { appName = "", appVersion = "" } = config ? JSON.parse(config) : {};
  return `${appName} ${appVersion}`.trim();
}

/**
 * Replace a container's content if `state` has changed. If the focus was inside, it moves to the new
 * control with the same accessible name, or else to `fallbackFocus`.
 * @param {HTMLElement} container
 * @param {unknown} state JSON value that the content depends on
 * @param {() => readonly Node[]} make
 * @param {HTMLElement} fallbackFocus
 */
export function replaceContent(container, state, make, fallbackFocus) {
  const shown = JSON.stringify(state);
  if (container.dataset.shown === shown) return;
  container.dataset.shown = shown;
  const focused = container.contains(document.activeElement) ? document.activeElement : null;
  const content = make();
  if (focused) fallbackFocus.focus({ preventScroll: true });
  container.replaceChildren(...content);
  if (!focused) return;
  const controls = [...container.querySelectorAll("button, a")];
  const same = controls.find((control) => accessibleName(control) === accessibleName(focused));
  if (same instanceof HTMLElement) same.focus({ preventScroll: true });
}

/** @param {Element} element */
function accessibleName(element) {
  return element.getAttribute("aria-label") ?? element.textContent;
}

export const COPY_FAILED = "The browser did not allow this page to copy.";

/**
 * Copy a text to the clipboard; resolves with whether that worked. Pages without HTTPS have no
 * `navigator.clipboard` and fall back to `execCommand`.
 * @param {string} text
 * @param {HTMLElement} parent temporarily holds a text box
 */
export async function copyText(text, parent) {
  if (navigator.clipboard) {
    return navigator.clipboard.writeText(text).then(() => true, () => false);
  }
  const focused = document.activeElement;
  const box = h("textarea", { class: "llm-offscreen", "aria-hidden": "true" });
  box.value = text;
  parent.append(box);
  box.select();
  const done = document.execCommand("copy");
  box.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return done;
}

/**
 * Create a button "Copy" that reports whether copying worked.
 * @param {View} view
 * @param {string} name what is copied, capitalized: "Code"
 * @param {Record<string, string>} attributes
 * @param {() => string} text
 */
export function createCopy(view, name, attributes, text) {
  const copy = button("Copy", { ...attributes, "aria-label": `Copy ${name.toLowerCase()}` }, view.signal, () => {
    copyText(text(), copy.parentElement ?? copy).then((done) => {
      setText(copy, done ? "Copied" : "Copy");
      if (done) view.announce(`${name} copied.`);
      else view.status.fail(COPY_FAILED);
    });
  });
  return copy;
}

// Matches the kernel's sanitizer. The browser's default would drop the classes of highlighted code
// and allow images, which load without a click.
const ALLOWED_HTML = {
  elements: [
    "p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "code", "ul", "ol", "li",
    "strong", "em", "s", "a", "table", "thead", "tbody", "tr", "th", "td", "span", "sup",
    "sub", "u", "kbd", "mark", "small",
    ...[
      "math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "ms", "mfrac", "msqrt", "mroot", "msub", "msup",
      "msubsup", "munder", "mover", "munderover", "mmultiscripts", "mtable", "mtr", "mtd", "mstyle",
      "mpadded", "mphantom", "menclose", "merror", "mprescripts",
    ].map((name) => ({ name, namespace: "http://www.w3.org/1998/Math/MathML" })),
  ],
  attributes: [
    "class", "href", "title", "start", "rel", "dir", "align", "display", "mathvariant", "stretchy", "fence", "separator",
    "lspace", "rspace", "minsize", "maxsize", "movablelimits", "accent", "accentunder", "linethickness",
    "displaystyle", "scriptlevel", "columnalign", "rowspacing", "columnspacing", "width", "height",
    "depth", "voffset", "mathcolor", "form", "symmetric", "largeop", "columnlines", "rowlines", "notation",
    "columnspan", "rowspan",
  ],
};

// Allowed besides in parts other than text, whose HTML only the kernel writes.
const ALLOWED_IN_PARTS = {
  elements: [
    ...ALLOWED_HTML.elements, "details", "summary", "figure", "figcaption", "img", "audio", "section", "div",
  ],
  attributes: [...ALLOWED_HTML.attributes, "id", "src", "alt", "controls", "preload", "aria-label"],
};

/**
 * Create an element for one finished block of an answer. The kernel has sanitized the HTML; browsers
 * that have a sanitizer apply it again.
 * @param {View} view
 * @param {import("./answer_state.js").Block} block
 */
export function createBlock(view, block) {
  const isText = typeof block === "string";
  const [html, sanitizer] = isText ? [block, ALLOWED_HTML] : [block.part, ALLOWED_IN_PARTS];
  const element = h("div", { class: isText ? "llm-block" : "llm-block llm-answer-part" });
  /** @typedef {{setHTML?: (html: string, options: object) => void}} SanitizerElement */
  const { setHTML } = /** @type {SanitizerElement} */ (/** @type {unknown} */ (element));
  if (setHTML) setHTML.call(element, html, { sanitizer });
  else element.innerHTML = html;
  for (const media of element.querySelectorAll("img, audio")) {
    if (!/^data:(image|audio)\//.test(media.getAttribute("src") ?? "")) media.remove();
  }
  // In the same tab, a link would navigate away from the notebook.
  for (const link of element.querySelectorAll("a")) {
    if (!link.getAttribute("href")?.startsWith("#")) link.target = "_blank";
  }
  for (const code of element.querySelectorAll("pre")) addCopyButton(view, code);
  for (const table of element.querySelectorAll("table")) addTableFrame(table);
  return element;
}

/**
 * Put a table into a frame that scrolls, by keys too: its words stay whole.
 * @param {HTMLElement} table
 */
function addTableFrame(table) {
  const frame = h("div", { class: "llm-table-frame", role: "region", "aria-label": "Table", tabindex: "0" });
  frame.dir = table.dir;
  table.replaceWith(frame);
  frame.append(table);
}

/**
 * @param {View} view
 * @param {HTMLElement} code
 */
function addCopyButton(view, code) {
  const text = code.textContent ?? "";
  const copy = createCopy(view, "Code", { class: "llm-link llm-copy-code" }, () => text);
  const frame = h("div", { class: "llm-code" });
  code.replaceWith(frame);
  frame.append(code, copy);
}

/**
 * Set a text box's value if it differs, which keeps the browser's undo history, and the caret at its words.
 * @param {HTMLTextAreaElement} box
 * @param {string} text
 */
export function setValue(box, text) {
  const { value: before, selectionStart, selectionEnd, selectionDirection } = box;
  if (before === text) return;
  box.value = text;
  box.setSelectionRange(
    movedPosition(before, text, selectionStart), movedPosition(before, text, selectionEnd), selectionDirection);
}

/**
 * Let a text area grow with its text, within its CSS bounds. Returns a function to call after the
 * text was set by code. Browsers that support `field-sizing` need neither.
 * @param {View} view
 * @param {HTMLTextAreaElement} box
 */
export function autoGrow({ signal }, box) {
  if (CSS.supports("field-sizing", "content")) return () => {};
  const grow = () => {
    // Shrinking the box to measure it would scroll the page.
    if (box.scrollHeight > box.clientHeight) box.style.height = `${box.scrollHeight + 2}px`;
    if (box.value === "") box.style.height = "";
  };
  box.addEventListener("input", grow, { signal });
  return grow;
}

/**
 * Words that are in both texts ("="), only in the one before ("-") or only in the one after ("+").
 * @typedef {["=" | "-" | "+", string]} DiffPart
 */

/**
 * A part of a difference. Signs mark it as well as color and a line, which leaves the signs out.
 * @param {DiffPart} part
 */
export function createDiffPart([kind, text]) {
  return kind === "=" ? text : h(kind === "-" ? "del" : "ins", {}, h("span", {}, text));
}
