// The walk through the Runs of the panel, and the line that says how the form differs from the shown one.

import { plural } from "./answer_state.js";
import { button, follow, h, setText, show } from "./dom.js";
import { formatMoment } from "./history_list.js";

/** @typedef {import("./dom.js").View} View */

/**
 * The Run that is shown, as the kernel describes it.
 * @typedef {object} RunShown
 * @property {number} [number] counted from 1; 0 if none is shown
 * @property {number} [newest]
 * @property {boolean} [older] whether there are older ones
 * @property {boolean} [newer]
 * @property {string | null} [at] ISO time
 * @property {string} [about] what it was asked with
 * @property {boolean} [opened] whether it was asked elsewhere and opened here
 * @property {number} [running] the number of the Run that is going on; 0 for none
 */

const MOST_NAMED = 3;
const SINCE = " since these answers";

/**
 * Show the Run before (-1) or after (1) the shown one.
 * @param {View} view
 * @param {-1 | 1} step
 */
export function walk(view, step) {
  view.status.clear(); // what it says is about the Run before
  view.request("show_run", { step }).catch(view.status.report);
}

/**
 * Create the buttons that walk through the Runs, with the number of the shown one.
 * @param {View} view
 */
export function createRunWalk(view) {
  const { model, signal } = view;
  /** @type {(text: string, name: string, step: -1 | 1) => HTMLButtonElement} */
  const createStep = (text, name, step) => (
    button(text, { class: "llm-link llm-step", "aria-label": name, title: name }, signal, () => walk(view, step)));
  const earlier = createStep("‹", "Earlier Run ([)", -1);
  const later = createStep("›", "Later Run (])", 1);
  const words = h("span", { class: "llm-walk-words" });
  const running = button("", { class: "llm-link", hidden: true }, signal, () => {
    const { running: number } = /** @type {RunShown} */ (model.get("run_shown"));
    view.request("show_run", { number }).catch(view.status.report);
  });
  const element = h("div", { class: "llm-walk", role: "group", "aria-label": "Runs of this panel", hidden: true },
    earlier, words, later, running);
  /** @type {{shown: number, running: number}} */
  const before = { shown: 0, running: 0 };
  follow(view, ["run_shown"], () => {
    const state = walkState(model.get("run_shown"), new Date());
    element.hidden = state.text === "";
    setText(words, state.text);
    words.title = state.title;
    earlier.setAttribute("aria-disabled", String(!state.older));
    later.setAttribute("aria-disabled", String(!state.newer));
    setText(running, `Run ${state.running} is running`);
    show(running, state.running > 0 && state.running !== state.number, later);
    if (before.shown > 0 && before.shown !== state.number && state.newer) view.announce(`${state.text}: ${state.title}.`);
    if (before.running > 0 && state.running === 0 && before.running !== state.number) {
      view.announce(`Run ${before.running} has ended.`);
    }
    Object.assign(before, { shown: state.number, running: state.running });
  });
  return element;
}

/**
 * What the walk says: nothing before the second Run; of an earlier Run also when it was and, in
 * `about`, what it was asked with.
 * @param {RunShown} shown
 * @param {Date} now
 * @param {string} [locale]
 */
export function walkState(shown, now, locale) {
  const { number = 0, newest = 0, older = false, newer = false, at = null, about = "", opened = false, running = 0 } = shown;
  const moment = at ? formatMoment(at, now, locale) : "";
  const asked = at ? [`${opened ? "opened, " : ""}asked ${moment}`] : [];
  const none = newest > 0 ? plural(newest, "earlier Run") : "";
  const isEarlier = newer || opened;
  const named = [`Run ${number} of ${newest}`, ...(isEarlier && moment ? [moment] : [])].join(" · ");
  return {
    number, older, newer, running,
    text: number > 0 ? (older || newer ? named : "") : none,
    title: [...asked, about].filter(Boolean).join(" · "),
    about: isEarlier ? about : "",
  };
}

/**
 * Create the line that says what an earlier Run was asked with, and what has changed in the form since
 * the shown answers, with Restore.
 * @param {View} view
 */
export function createFormChanges(view) {
  const words = h("span", { class: "llm-changed-words" });
  const restore = button("Restore", { class: "llm-link", title: "Set the form as it was for these answers" },
    view.signal, () => {
      view.flush();
      view.request("restore_form").then(({ note }) => {
        view.offerUndo(["The form is as it was for these answers.", note].filter(Boolean).join(" "),
          () => view.request("undo"));
      }, view.status.report);
    });
  const asked = h("span", { class: "llm-asked" });
  const element = h("span", { class: "llm-changed", hidden: true }, words, restore);
  follow(view, ["run_shown"], () => {
    const { about } = walkState(view.model.get("run_shown"), new Date());
    setText(asked, about);
    asked.title = about;
  });
  follow(view, ["changed", "changed_in_full", "changed_values"], () => {
    const [form, values, long] = ["changed", "changed_values", "changed_in_full"].map((name) => view.model.get(name) ?? []);
    const text = changedLine([...form, ...values]);
    const inFull = [...long, ...values].join("\n");
    const prompt = element.closest(".llm-playground")?.querySelector("[data-llm=prompt]");
    const fallback = prompt instanceof HTMLElement ? prompt : element;
    show(restore, form.length > 0, fallback); // values of the notebook are none of the form
    // The words in the middle are left out in a narrow panel.
    const [first = "", last = ""] = text.split(SINCE);
    words.replaceChildren(first, ...(text ? [h("span", { class: "llm-since" }, SINCE)] : []), last);
    words.title = text && `${text.slice(0, text.indexOf(":") + 1)}\n${inFull}`;
    restore.setAttribute("aria-description", inFull);
    show(element, text !== "", fallback);
  });
  return [asked, element];
}

/**
 * "Changed since these answers: temperature 0.2 → 0.9 · prompt"; empty if nothing has changed.
 * @param {readonly string[]} changed
 */
export function changedLine(changed) {
  if (changed.length === 0) return "";
  const more = changed.length - MOST_NAMED;
  const named = more > 1 ? [...changed.slice(0, MOST_NAMED), `${more} more`] : changed;
  return `Changed${SINCE}: ${named.join(" · ")}`;
}
