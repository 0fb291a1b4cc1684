// Earlier turns of the conversation: add, edit, move, delete, re-run.

import { autoGrow, button, follow, h, setText, setValue } from "./dom.js";
import { createUndo } from "./status_line.js";

/** @typedef {import("./dom.js").View} View */

/**
 * @typedef {object} Turn
 * @property {string} role
 * @property {string} content
 * @property {import("./attachments.js").AttachmentEntry[]} [images]
 * @property {import("./attachments.js").AttachmentEntry[]} [files]
 * @property {string} [problem] what prevents it from being sent
 */

/** @typedef {readonly import("./attachments.js").AttachmentEntry[]} Entries */

/**
 * The conversation so far; the user prompt, its images and files are the next question.
 * @typedef {{turns: readonly Turn[], prompt: string, images: Entries, files: Entries}} Conversation
 */

/** @type {Record<string, string>} */
const ROLES = { system: "System", user: "User", assistant: "Assistant" };
const CONVERSATION_TRAITS = /** @type {const} */ (["turns", "prompt", "images", "files"]);

/**
 * The role of a new turn: the one that did not speak last.
 * @param {readonly Turn[]} turns
 */
export function nextRole(turns) {
  return turns.at(-1)?.role === "user" ? "assistant" : "user";
}

/**
 * The list with one item moved by a step, or the same list if it cannot move.
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
 * The conversation for re-running a turn. A user turn becomes the prompt again, an assistant turn is
 * replaced by the user turn that it answered, and all later turns are removed.
 * @param {Conversation} conversation
 * @param {number} index
 * @returns {Conversation}
 */
export function conversationBefore(conversation, index) {
  const { turns } = conversation;
  if (turns[index]?.role === "system") return { ...conversation, turns: turns.slice(0, index + 1) };
  const userIndex = turns.slice(0, index + 1).findLastIndex((turn) => turn.role === "user");
  const question = turns[userIndex];
  if (!question) return { ...conversation, turns: turns.slice(0, index) };
  const { content, images = [], files = [] } = question;
  return { turns: turns.slice(0, userIndex), prompt: content, images, files };
}

/**
 * @param {View} view
 * @param {HTMLElement} fallbackFocus gets the focus when the last turn is deleted
 * @returns {{list: HTMLElement, line: HTMLElement}} the turns, and the line below them
 */
export function createTurns(view, fallbackFocus) {
  const list = h("ol", { class: "llm-turns", "aria-label": "Turns" });
  const undo = createConversationUndo(view, fallbackFocus);
  const add = button("+ Turn", { class: "llm-link", title: "A turn before the prompt" }, view.signal, () => {
    edit([...turns(), { role: nextRole(turns()), content: "" }]);
    rows.at(-1)?.box.focus();
  });
  const line = h("div", { class: "llm-turns-line" }, add);
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
    const before = conversationOf(view);
    rows = rows.toSpliced(index, 1);
    edit(turns().toSpliced(index, 1));
    (rows[index] ?? rows.at(-1))?.box.focus();
    if (rows.length === 0) fallbackFocus.focus();
    undo.offer(`Turn ${index + 1} was deleted.`, before);
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
    view.announce(`Turn ${index + 1} is now turn ${index + 1 + step}.`);
  };
  /** @param {number} index */
  const rerun = (index) => {
    const before = conversationOf(view);
    const after = conversationBefore(before, index);
    setConversation(view, after);
    const removed = before.turns.length - after.turns.length;
    undo.offer(removed === 1 ? "1 turn was removed." : `${removed} turns were removed.`, before);
    fallbackFocus.focus();
    view.run();
  };

  const actions = { change, remove, move, rerun, indexOf: (/** @type {Row} */ row) => rows.indexOf(row) };
  follow(view, ["turns"], () => {
    rows = turns().map((_, index) => rows[index] ?? createRow(view, actions));
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
 * The actions of a row on the turn that it shows.
 * @typedef {object} RowActions
 * @property {(index: number, change: Partial<Turn>) => void} change
 * @property {(index: number) => void} remove
 * @property {(index: number, step: number) => void} move
 * @property {(index: number) => void} rerun
 * @property {(row: Row) => number} indexOf
 */

/**
 * @param {View} view
 * @param {RowActions} actions
 * @returns {Row}
 */
function createRow(view, actions) {
  const { signal } = view;
  const role = h("select", { class: "llm-role" },
    ...Object.entries(ROLES).map(([value, name]) => h("option", { value }, name)));
  const box = h("textarea", { dir: "auto", rows: 1, spellcheck: "false", placeholder: "Text of this turn" });
  const details = h("span", { class: "llm-side" });
  const index = () => actions.indexOf(row);
  const up = button("Up", { class: "llm-link", title: "Alt+↑" }, signal, () => actions.move(index(), -1));
  const down = button("Down", { class: "llm-link", title: "Alt+↓" }, signal, () => actions.move(index(), 1));
  const rerun = button("Re-run from here", { class: "llm-link" }, signal, () => actions.rerun(index()));
  const remove = button("Delete", { class: "llm-link" }, signal, () => actions.remove(index()));
  const element = h("li", { class: "llm-turn" },
    h("div", { class: "llm-turn-head" }, role, details,
      h("span", { class: "llm-turn-acts" }, up, down, rerun, remove)), box);
  const grow = autoGrow(view, box);
  role.addEventListener("change", () => actions.change(index(), { role: role.value }), { signal });
  box.addEventListener("input", () => actions.change(index(), { content: box.value }), { signal });
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
      setText(details, turn.problem ? `${turn.problem}: cannot be sent` : attachmentCount(turn));
      role.setAttribute("aria-label", `${name}, role`);
      box.setAttribute("aria-label", name);
      for (const action of [up, down, rerun, remove]) {
        action.setAttribute("aria-label", `${action.textContent}, turn ${index + 1}`);
      }
      up.setAttribute("aria-disabled", String(index === 0));
      down.setAttribute("aria-disabled", String(index === count - 1));
    },
  };
  return row;
}

/** @param {Turn} turn */
function attachmentCount({ images = [], files = [] }) {
  const counts = [[images.length, "image"], [files.length, "file"]];
  return counts.filter(([count]) => count).map(([count, name]) => `${count} ${name}${count === 1 ? "" : "s"}`).join(", ");
}

/**
 * Create what undoes the last change of the turns, until the conversation changes again.
 * @param {View} view
 * @param {HTMLElement} fallbackFocus
 */
function createConversationUndo(view, fallbackFocus) {
  const undo = createUndo(view, fallbackFocus);
  let after = "";
  /**
   * @param {string} sentence
   * @param {Conversation} before
   */
  const offer = (sentence, before) => {
    after = JSON.stringify(conversationOf(view));
    undo.offer(sentence, () => {
      setConversation(view, before);
      fallbackFocus.focus();
    });
  };
  follow(view, CONVERSATION_TRAITS, () => {
    if (JSON.stringify(conversationOf(view)) === after || !undo.isOffered()) return;
    undo.drop();
  });
  return { offer };
}

/**
 * @param {View} view
 * @returns {Conversation}
 */
function conversationOf({ model }) {
  const [turns, prompt, images, files] = CONVERSATION_TRAITS.map((trait) => model.get(trait));
  return { turns, prompt, images, files };
}

/**
 * @param {View} view
 * @param {Conversation} conversation
 */
function setConversation(view, conversation) {
  for (const trait of CONVERSATION_TRAITS) view.edit(trait, conversation[trait]);
}
