/**
 * The view of a dashboard: it shows the HTML that Python made, and sends what is pressed.
 *
 * @typedef {{
 *   get(name: string): any,
 *   on(event: string, handler: () => void): void,
 *   off(event: string, handler: () => void): void,
 *   send(content: object): void,
 * }} Model
 */

const TRAITS = ["sections", "section", "notice", "has_demo_button", "summary", "content",
  "is_busy", "problem"];

/**
 * An element with attributes and children.
 * @param {string} tag
 * @param {Record<string, string>} [attributes]
 * @param {(Node | string)[]} children
 */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/**
 * Show HTML of this package, in which all texts are escaped; scripts in it would not run.
 * @param {Element} place
 * @param {string} html
 */
function show(place, html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  place.replaceChildren(...parsed.body.childNodes);
}

/**
 * What a person had opened or focused, found again by its names after a redraw.
 * @param {Element} root
 */
function remember(root) {
  const opened = [...root.querySelectorAll("details[open]")]
    .map(one => one.getAttribute("data-name"));
  const focused = document.activeElement;
  const place = focused instanceof Element && root.contains(focused) ? pathOf(focused) : null;
  return () => {
    for (const one of root.querySelectorAll("details")) {
      one.open = opened.includes(one.getAttribute("data-name"));
    }
    if (place && !root.contains(document.activeElement)) {
      const again = root.querySelector(place);
      if (again instanceof HTMLElement || again instanceof SVGElement) again.focus();
    }
  };
}

/**
 * A selector of a pressable element within its card.
 * @param {Element} one
 */
function pathOf(one) {
  const card = one.closest("[data-card]")?.getAttribute("data-card");
  const within = card ? `[data-card="${CSS.escape(card)}"] ` : "";
  for (const name of ["data-key", "data-step", "data-send", "data-sort"]) {
    const value = one.getAttribute(name);
    if (value !== null) return `${within}[${name}="${CSS.escape(value)}"]`;
  }
  return null;
}

/**
 * Sort the rows of a table by one of its columns; once more reverses the order.
 * @param {HTMLElement} button
 */
function sort(button) {
  const head = button.closest("th");
  const body = button.closest("table")?.tBodies[0];
  if (!head || !body) return;
  const place = Number(button.dataset.sort);
  const isNumber = head.classList.contains("llm-dash-number");
  const before = head.getAttribute("aria-sort");
  const falls = before ? before === "ascending" : isNumber;
  for (const other of head.parentElement?.children ?? []) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", falls ? "descending" : "ascending");
  /** @param {HTMLTableRowElement} row */
  const value = row => row.cells[place]?.dataset.value ?? "";
  const rows = [...body.rows].sort((a, b) => {
    const [one, two] = [value(a), value(b)];
    const order = isNumber ? Number(one || -1) - Number(two || -1) : one.localeCompare(two);
    return falls ? -order : order;
  });
  body.append(...rows);
}

/** Bars whose group has one tab stop; the arrow keys move between them. */
function roam(/** @type {Element} */ root) {
  for (const chart of root.querySelectorAll(".llm-chart")) {
    const bars = chart.querySelectorAll(".llm-pressable");
    bars.forEach((bar, number) => bar.setAttribute("tabindex", number === 0 ? "0" : "-1"));
  }
}

/**
 * @param {KeyboardEvent} event
 * @param {Element} bar
 */
function moveFocus(event, bar) {
  const bars = [...(bar.closest(".llm-chart")?.querySelectorAll(".llm-pressable") ?? [])];
  const at = bars.indexOf(bar);
  const last = bars.length - 1;
  const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1,
    Home: 0, End: last }[event.key];
  const next = to === undefined ? undefined : bars[Math.min(Math.max(to, 0), last)];
  if (!(next instanceof SVGElement)) return;
  event.preventDefault();
  bar.setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
}

/**
 * A tooltip with the description of the bar below the pointer, or of the focused one.
 * @param {HTMLElement} root
 * @param {AbortSignal} signal
 */
function addTooltip(root, signal) {
  const tip = element("div", { class: "llm-tip", "aria-hidden": "true", hidden: "" });
  root.append(tip);
  /** @param {Event} event */
  const update = event => {
    const target = event.target instanceof Element ? event.target : null;
    const bar = target?.closest(".llm-target, .llm-pressable");
    const about = bar?.getAttribute("data-tip") ?? bar?.getAttribute("aria-label");
    tip.hidden = !about;
    if (!bar || !about) return;
    tip.textContent = about;
    const frame = root.getBoundingClientRect();
    const box = bar.getBoundingClientRect();
    const x = event instanceof PointerEvent ? event.clientX : box.left + box.width / 2;
    const half = tip.offsetWidth / 2;
    const left = Math.min(Math.max(x - frame.left, half), frame.width - half);
    tip.style.left = `${left}px`;
    const top = event instanceof PointerEvent ? event.clientY - 14 : box.top - 4;
    tip.style.top = `${top - frame.top}px`;
  };
  for (const type of ["pointermove", "focusin"]) root.addEventListener(type, update, { signal });
  for (const type of ["pointerleave", "focusout"]) {
    root.addEventListener(type, () => { tip.hidden = true; }, { signal });
  }
}

/**
 * A style that hides the saved form of the dashboard, which is the next output of the cell.
 * @param {string} id
 */
function hidesSaved(id) {
  const saved = `[data-llm-dashboard="${CSS.escape(id)}"]`;
  return element("style", {}, `${saved}, .jp-OutputArea-child:has(${saved}) { display: none; }`);
}

/** @param {{ model: Model, el: HTMLElement, signal?: AbortSignal }} context */
function render({ model, el }) {
  const ending = new AbortController();
  const { signal } = ending;
  const summary = element("div", { class: "llm-tiles", role: "group", "aria-label": "Summary" });
  const problem = element("p", { class: "llm-dash-problem", role: "alert" });
  const notice = element("p", { class: "llm-notice" });
  const demo = element("button", { type: "button", class: "llm-demo" }, "Fill with demo runs");
  const tabs = element("div", { class: "llm-dash-tabs", role: "tablist", "aria-label": "Sections" });
  const panel = element("div", { class: "llm-panel", role: "tabpanel", "aria-label": "Section" });
  const status = element("span", { class: "llm-dash-status", role: "status" });
  el.classList.add("llm-dashboard");
  el.append(hidesSaved(model.get("saved_id")), problem, notice, demo, summary, element("div", { class: "llm-dash-bar" }, tabs, status),
    panel);
  addTooltip(el, signal);

  const drawTabs = () => {
    const chosen = model.get("section");
    const hadFocus = tabs.contains(document.activeElement);
    tabs.replaceChildren(...model.get("sections").map((/** @type {string[]} */ [name, title]) =>
      element("button", {
        type: "button", role: "tab", "data-section": name ?? "",
        "aria-selected": String(name === chosen), tabindex: name === chosen ? "0" : "-1",
      }, title ?? "")));
    const current = tabs.querySelector("[aria-selected=true]");
    if (hadFocus && current instanceof HTMLElement) current.focus();
    panel.setAttribute("aria-label", current?.textContent ?? "Section");
  };
  const draw = {
    sections: drawTabs,
    section: drawTabs,
    notice: () => { notice.textContent = model.get("notice"); notice.hidden = !notice.textContent; },
    has_demo_button: () => { demo.hidden = !model.get("has_demo_button"); },
    summary: () => {
      const restore = remember(summary);
      show(summary, model.get("summary"));
      summary.hidden = !model.get("summary");
      restore();
    },
    content: () => {
      const restore = remember(panel);
      show(panel, model.get("content"));
      roam(panel);
      restore();
    },
    is_busy: () => {
      status.textContent = model.get("is_busy") ? "Reading the log…" : "";
      panel.setAttribute("aria-busy", String(model.get("is_busy")));
    },
    problem: () => {
      problem.textContent = model.get("problem");
      problem.hidden = !problem.textContent;
    },
  };
  for (const name of TRAITS) {
    const drawOne = draw[/** @type {keyof typeof draw} */ (name)];
    drawOne();
    model.on(`change:${name}`, drawOne);
    signal.addEventListener("abort", () => model.off(`change:${name}`, drawOne));
  }
  listen(model, el, signal);
  return () => ending.abort();
}

/**
 * Send what is pressed or chosen.
 * @param {Model} model
 * @param {HTMLElement} el
 * @param {AbortSignal} signal
 */
function listen(model, el, signal) {
  /** @param {Element} pressed */
  const press = pressed => {
    const data = /** @type {HTMLElement} */ (pressed).dataset;
    if (data.section) model.send({ type: "section", value: data.section });
    else if (data.key) model.send({ type: "press", value: data.key });
    else if (data.step) model.send({ type: "step", value: Number(data.step) });
    else if (data.sort) sort(/** @type {HTMLElement} */ (pressed));
    else if (pressed.classList.contains("llm-demo")) model.send({ type: "demo" });
  };
  const selector = "[data-section], [data-key], [data-step], [data-sort], .llm-demo";
  el.addEventListener("click", event => {
    const pressed = event.target instanceof Element ? event.target.closest(selector) : null;
    if (pressed) press(pressed);
  }, { signal });
  el.addEventListener("change", event => {
    const select = event.target;
    if (select instanceof HTMLSelectElement && select.dataset.send) {
      model.send({ type: select.dataset.send, value: select.value });
    }
  }, { signal });
  el.addEventListener("keydown", event => {
    const target = event.target instanceof Element ? event.target : null;
    const bar = target?.closest(".llm-pressable");
    const tab = target?.closest("[role=tab]");
    if (bar && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      press(bar);
    } else if (bar) {
      moveFocus(event, bar);
    } else if (tab && ["ArrowLeft", "ArrowRight"].includes(event.key)) {
      const next = event.key === "ArrowRight" ? tab.nextElementSibling : tab.previousElementSibling;
      if (next instanceof HTMLElement) {
        next.focus();
        press(next);
      }
    }
    // JupyterLab's single-key shortcuts would cut or add cells.
    if (event.key === "Escape") {
      const cell = el.closest(".jp-Cell");
      if (cell instanceof HTMLElement) cell.focus();
    } else if (!(event.ctrlKey || event.metaKey) || event.key === "Enter") {
      event.stopPropagation();
    }
  }, { signal });
}

export default { render };
