// The dialog "Code": the call as Python, JavaScript and cURL.

import { h, button, newId, setText } from "./dom.js";
import { createDialog } from "./dialog.js";
import { createBlock } from "./rich.js";

/** @typedef {import("./dom.js").View} View */

/** @typedef {{language: string, text?: string, html?: string, error?: string}} Tab */

/** @type {Record<string, string>} */
const LANGUAGE_NAMES = { python: "Python", javascript: "JavaScript", curl: "cURL" };

/** @param {View} view */
export function createCode(view) {
  const id = newId();
  const of = h("p", { class: "llm-side" });
  const tabs = h("div", { role: "tablist", class: "llm-tabs", "aria-label": "Language" });
  const panel = h("div", { role: "tabpanel", id, class: "llm-code-panel" });
  const dialog = createDialog(view, "Code", of, tabs, panel);
  dialog.element.classList.add("llm-wide");
  /** @type {{told: Tab[], chosen: string, asked: number}} */
  const state = { told: [], chosen: "python", asked: 0 };

  /** @param {boolean} focus */
  const paint = (focus = false) => {
    const buttons = state.told.map(({ language }) => {
      const selected = language === state.chosen;
      return button(LANGUAGE_NAMES[language] ?? language, {
        role: "tab", class: "llm-link", "aria-selected": String(selected), "aria-controls": id,
        tabindex: selected ? "0" : "-1", "data-language": language,
      }, view.signal, () => choose(language));
    });
    tabs.replaceChildren(...buttons);
    const shown = state.told.find(({ language }) => language === state.chosen);
    const name = LANGUAGE_NAMES[state.chosen] ?? state.chosen;
    panel.setAttribute("aria-label", name);
    panel.replaceChildren(shown?.html === undefined
      ? h("p", { class: "llm-wire-note" }, shown?.error ?? "") : createBlock(view, shown.html));
    panel.querySelector("pre")?.setAttribute("tabindex", "0");
    if (focus) buttons.find((one) => one.dataset["language"] === state.chosen)?.focus();
  };
  /** @param {string} language */
  const choose = (language) => {
    state.chosen = language;
    paint(true);
  };
  view.localKeys.set(tabs, ({ key }) => {
    const names = state.told.map(({ language }) => language);
    const at = names.indexOf(state.chosen);
    /** @type {Record<string, number>} */
    const moves = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: names.length - 1 };
    const to = moves[key];
    if (to === undefined || names.length === 0) return false;
    choose(names[(to + names.length) % names.length] ?? state.chosen);
    return true;
  });
  /** @param {number | null} number the answer it is the code of; null for the form as it stands */
  const open = (number = null) => {
    const asked = ++state.asked;
    setText(of, "");
    tabs.replaceChildren();
    panel.replaceChildren();
    dialog.open();
    view.settle();
    view.ask("code", number === null ? {} : { number }).then((told) => {
      if (asked !== state.asked) return;
      setText(of, told.of);
      state.told = told.tabs;
      paint(true);
    }, (/** @type {Error} */ error) => asked === state.asked
      && panel.replaceChildren(h("p", { class: "llm-problem", role: "alert" }, error.message)));
  };
  return { element: dialog.element, open, close: dialog.close };
}
