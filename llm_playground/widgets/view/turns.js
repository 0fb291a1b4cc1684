// Earlier turns of the conversation, before the user prompt: add, edit, move, delete, run again.

import { h, button, follow, setText } from "./dom.js";
import { growing, setValue } from "./textbox.js";
import { createUndoLine } from "./undo.js";

/** @typedef {import("./dom.js").View} View */

/**
 * @typedef {object} Turn
 * @property {string} role
 * @property {string} content
 * @property {import("./pictures.js").Entry[]} [images]
 * @property {string} [problem] what the panel cannot send of it
 */

/**
 * What a conversation is up to now: the next question is the prompt with its pictures.
 * @typedef {{turns: readonly Turn[], prompt: string, images: readonly import("./pictures.js").Entry[]}} Talk
 */

/** @type {Record<string, string>} */
const ROLES = { system: "System", user: "User", assistant: "Assistant" };
const TALK = /** @type {const} */ (["turns", "prompt", "images"]);

/**
 * The role that a new turn has: who has not spoken last.
 * @param {readonly Turn[]} turns
 */
export function nextRole(turns) {
  return turns.at(-1)?.role === "user" ? "assistant" : "user";
}

/**
 * The list with one item moved by a step; the same list where it cannot move.
 * @template T
 * @param {readonly T[]} list
 * @param {number} from
 * @param {number} step
 * @returns {readonly T[]}
 */
export function moved(list, from, step) {
  const to = from + step;
  if (to < 0 || to >= list.length) return list;
  const rest = list.toSpliced(from, 1);
  return rest.toSpliced(to, 0, /** @type {T} */ (list[from]));
}

/**
 * The talk as it was when a turn was about to be answered: a user's turn is the prompt again, an
 * assistant's is asked for again, and what came later is gone.
 * @param {Talk} talk
 * @param {number} index
 * @returns {Talk}
 */
export function talkBefore(talk, index) {
  const { turns } = talk;
  if (turns[index]?.role === "system") return { ...talk, turns: turns.slice(0, index + 1) };
  const asked = turns.slice(0, index + 1).findLastIndex((turn) => turn.role === "user");
  const question = turns[asked];
  if (!question) return { ...talk, turns: turns.slice(0, index) };
  return { turns: turns.slice(0, asked), prompt: question.content, images: question.images ?? [] };
}

/**
 * @param {View} view
 * @param {HTMLElement} heir gets the focus when the last turn goes
 * @returns {{list: HTMLElement, line: HTMLElement}} the turns, and the quiet line below them
 */
export function createTurns(view, heir) {
  const list = h("ol", { class: "llm-turns", "aria-label": "Turns" });
  const undone = createTalkUndo(view, heir);
  const add = button("+ Turn", { class: "llm-link", title: "A turn before the prompt" }, view.signal, () => {
    edit([...turns(), { role: nextRole(turns()), content: "" }]);
    rows.at(-1)?.box.focus();
  });
  const line = h("div", { class: "llm-turns-line" }, undone.element, add);
  /** @type {Row[]} */
  let rows = [];

  /** @returns {readonly Turn[]} */
  const turns = () => view.model.get("turns");
  /** @param {readonly Turn[]} next */
  const edit = (next) => view.edit("turns", next);
  /**
   * @param {number} index
   * @param {Partial<Turn>} change
   */
  const change = (index, change) =>
    edit(turns().map((turn, at) => (at === index ? { ...turn, ...change } : turn)));
  /** @param {number} index */
  const remove = (index) => {
    const before = talkOf(view);
    rows = rows.toSpliced(index, 1);
    edit(turns().toSpliced(index, 1));
    (rows[index] ?? rows.at(-1))?.box.focus();
    if (rows.length === 0) heir.focus();
    undone.offer(`Turn ${index + 1} deleted.`, before);
  };
  /**
   * @param {number} index
   * @param {number} step
   */
  const move = (index, step) => {
    const focused = document.activeElement;
    const next = moved(turns(), index, step);
    if (next === turns()) return;
    rows = [...moved(rows, index, step)];
    edit(next);
    if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
    view.say(`Turn ${index + 1} is turn ${index + 1 + step} now.`);
  };
  /** @param {number} index */
  const rerun = (index) => {
    const before = talkOf(view);
    const after = talkBefore(before, index);
    setTalk(view, after);
    const gone = before.turns.length - after.turns.length;
    undone.offer(gone === 1 ? "1 turn taken back." : `${gone} turns taken back.`, before);
    heir.focus();
    view.run();
  };

  const acts = { change, remove, move, rerun, at: (/** @type {Row} */ row) => rows.indexOf(row) };
  follow(view, ["turns"], () => {
    rows = turns().map((_, index) => rows[index] ?? createRow(view, acts));
    const elements = rows.map((row) => row.element);
    if (elements.length !== list.children.length || elements.some((e, at) => e !== list.children[at])) {
      list.replaceChildren(...elements);
    }
    for (const [index, row] of rows.entries()) row.show(/** @type {Turn} */ (turns()[index]), index, rows.length);
    list.hidden = rows.length === 0;
  });
  view.localKeys.set(list, (event) => {
    const step = event.altKey ? { ArrowUp: -1, ArrowDown: 1 }[event.key] : undefined;
    const index = rows.findIndex((row) => row.element.contains(/** @type {Node} */ (event.target)));
    if (step === undefined || index < 0) return false;
    move(index, step);
    return true;
  });
  return { list, line };
}

/**
 * @typedef {object} Row
 * @property {HTMLElement} element
 * @property {HTMLTextAreaElement} box
 * @property {(turn: Turn, index: number, count: number) => void} show
 */

/**
 * What a row does with the turn that it shows.
 * @typedef {object} Acts
 * @property {(index: number, change: Partial<Turn>) => void} change
 * @property {(index: number) => void} remove
 * @property {(index: number, step: number) => void} move
 * @property {(index: number) => void} rerun
 * @property {(row: Row) => number} at
 */

/**
 * @param {View} view
 * @param {Acts} acts
 * @returns {Row}
 */
function createRow(view, acts) {
  const { signal } = view;
  const role = h("select", { class: "llm-role" },
    ...Object.entries(ROLES).map(([value, name]) => h("option", { value }, name)));
  const box = h("textarea", { rows: 1, spellcheck: "false", placeholder: "What was said" });
  const held = h("span", { class: "llm-side" });
  const at = () => acts.at(row);
  const up = button("Up", { class: "llm-link", title: "Alt+↑" }, signal, () => acts.move(at(), -1));
  const down = button("Down", { class: "llm-link", title: "Alt+↓" }, signal, () => acts.move(at(), 1));
  const rerun = button("Re-run from here", { class: "llm-link" }, signal, () => acts.rerun(at()));
  const remove = button("Delete", { class: "llm-link" }, signal, () => acts.remove(at()));
  const element = h("li", { class: "llm-turn" },
    h("div", { class: "llm-turn-head" }, role, held,
      h("span", { class: "llm-turn-acts" }, up, down, rerun, remove)), box);
  const grow = growing(view, box);
  role.addEventListener("change", () => acts.change(at(), { role: role.value }), { signal });
  box.addEventListener("input", () => acts.change(at(), { content: box.value }), { signal });
  /** @type {Row} */
  const row = {
    element,
    box,
    show: (turn, index, count) => {
      const name = `Turn ${index + 1}`;
      role.value = turn.role;
      element.dataset.role = turn.role;
      setValue(box, turn.content);
      grow();
      setText(held, turn.problem ? `${turn.problem}: cannot be sent` : picturesOf(turn));
      role.setAttribute("aria-label", `${name}, role`);
      box.setAttribute("aria-label", name);
      for (const [act, word] of /** @type {const} */ ([[up, "Up"], [down, "Down"], [rerun, "Re-run from here"], [remove, "Delete"]])) {
        act.setAttribute("aria-label", `${word}, turn ${index + 1}`);
      }
      up.setAttribute("aria-disabled", String(index === 0));
      down.setAttribute("aria-disabled", String(index === count - 1));
    },
  };
  return row;
}

/** @param {Turn} turn */
function picturesOf({ images = [] }) {
  if (images.length === 0) return "";
  return images.length === 1 ? "1 image" : `${images.length} images`;
}

/**
 * One line that takes back what was done last, until something else is.
 * @param {View} view
 * @param {HTMLElement} heir
 */
function createTalkUndo(view, heir) {
  const undo = createUndoLine(view);
  let after = "";
  /**
   * @param {string} sentence
   * @param {Talk} before
   */
  const offer = (sentence, before) => {
    after = JSON.stringify(talkOf(view));
    undo.offer(sentence, () => {
      setTalk(view, before);
      heir.focus();
    });
  };
  follow(view, TALK, () => {
    if (JSON.stringify(talkOf(view)) === after || undo.element.hidden) return;
    if (undo.element.contains(document.activeElement)) heir.focus();
    undo.drop();
  });
  return { element: undo.element, offer };
}

/**
 * @param {View} view
 * @returns {Talk}
 */
function talkOf({ model }) {
  return { turns: model.get("turns"), prompt: model.get("prompt"), images: model.get("images") };
}

/**
 * @param {View} view
 * @param {Talk} talk
 */
function setTalk(view, talk) {
  for (const trait of TALK) view.edit(trait, talk[trait]);
}
