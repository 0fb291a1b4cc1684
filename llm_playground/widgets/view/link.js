// Questions to the kernel and their answers, over the widget's own messages.

import { newId } from "./dom.js";

/** @typedef {import("./dom.js").Model} Model */

/**
 * Ask the kernel for something: `what` is a name of replies.py. Rejected with one line for the person.
 * @typedef {(what: string, given?: Record<string, unknown>) => Promise<any>} Ask
 */

/**
 * @param {Model} model
 * @param {AbortSignal} signal ends all questions, without an answer
 * @returns {Ask}
 */
export function createLink(model, signal) {
  /** @type {Map<string, {resolve: (value: any) => void, reject: (error: Error) => void}>} */
  const open = new Map();
  /** @param {{type: string, id?: string, value?: unknown, error?: string}} message */
  const hear = (message) => {
    if (message.type !== "reply" || message.id === undefined) return;
    const asked = open.get(message.id);
    open.delete(message.id);
    if (message.error === undefined) asked?.resolve(message.value);
    else asked?.reject(new Error(message.error));
  };
  model.on("msg:custom", hear);
  signal.addEventListener("abort", () => {
    model.off("msg:custom", hear);
    open.clear();
  });
  return (what, given = {}) => new Promise((resolve, reject) => {
    const id = newId();
    open.set(id, { resolve, reject });
    model.send({ type: "ask", id, what, given });
  });
}
