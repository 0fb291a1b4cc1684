// Requests to the kernel, and the line that says when the kernel cannot respond.

import { follow, h, newId, setText } from "./dom.js";

/** @typedef {import("./dom.js").Model} Model */
/** @typedef {import("./dom.js").View} View */

/**
 * Sends a request to the kernel and resolves with its reply. `name` is a key of REQUESTS in
 * widget/requests.py. Rejects with an error whose message is one line to show.
 * @typedef {(name: string, args?: Record<string, unknown>) => Promise<any>} Requester
 */

/**
 * @param {Model} model
 * @param {AbortSignal} signal drops all pending requests without a reply
 * @returns {Requester}
 */
export function createRequester(model, signal) {
  /** @type {Map<string, {resolve: (value: any) => void, reject: (error: Error) => void}>} */
  const pending = new Map();
  /** @param {{type: string, id?: string, value?: unknown, error?: string}} message */
  const onMessage = (message) => {
    if (message.type !== "reply" || message.id === undefined) return;
    const request = pending.get(message.id);
    pending.delete(message.id);
    if (message.error === undefined) request?.resolve(message.value);
    else request?.reject(new Error(message.error));
  };
  model.on("msg:custom", onMessage);
  signal.addEventListener("abort", () => {
    model.off("msg:custom", onMessage);
    pending.clear();
  });
  return (name, args = {}) => new Promise((resolve, reject) => {
    const id = newId();
    pending.set(id, { resolve, reject });
    model.send({ type: "request", id, name, arguments: args });
  });
}

/**
 * The kernel connection of Jupyter's widget manager; other front ends have none.
 * @typedef {object} Kernel
 * @property {string} status
 * @property {string} connectionStatus
 * @property {boolean} [isDisposed] after "Shut Down Kernel", which reports no status
 * @property {Signal} statusChanged
 * @property {Signal} connectionStatusChanged
 */

/**
 * @typedef {object} Signal
 * @property {(slot: () => void) => void} connect
 * @property {(slot: () => void) => void} disconnect
 */

/**
 * Whether the kernel responds. "stopped" is final: a restarted kernel has no such widget.
 * @typedef {"ready" | "busy" | "disconnected" | "stopped"} ConnectionStatus
 */

export const KERNEL_STOPPED = "The kernel has stopped. These answers are saved; run this cell to continue without "
  + "paying for them again.";
export const KERNEL_BUSY = "The kernel is running another cell. Answers keep arriving; to stop them, interrupt the "
  + "kernel (■). The text so far is kept.";
export const KERNEL_BUSY_BEFORE_RUN = "The kernel is running another cell. Your click takes effect "
  + "when that cell ends.";
export const KERNEL_DISCONNECTED = "The connection to the kernel is lost. Answers continue in the kernel and appear "
  + "once it is reconnected.";

const STOPPED_STATUSES = new Set(["restarting", "autorestarting", "dead", "terminating"]);
const PING_EVERY_MS = 2_000;
const PING_TIMEOUT_MS = 1_000;

/**
 * Watch the kernel and show a line while it does not respond.
 * @param {View} view
 * @param {{resume: () => void, interrupt: () => void}} answers `resume` is called when the connection
 *   is back, `interrupt` when the kernel has stopped
 */
export function createConnectionStatus(view, { resume, interrupt }) {
  const line = h("p", { class: "llm-connection", role: "status", "data-llm": "vitals", hidden: true });
  const kernel = kernelOf(view.model);
  /** @type {ConnectionStatus} */
  let current = "ready";
  const paint = () => {
    const text = connectionMessage(current, view.model.get("running"));
    setText(line, text);
    line.hidden = text === "";
  };
  /** @param {boolean} answered */
  const update = (answered) => {
    const before = current;
    const { connectionStatus: connection } = kernel ?? {};
    const status = kernel?.isDisposed ? "dead" : kernel?.status;
    current = connectionStatus(before, { ...(status && { status }), ...(connection && { connection }), answered });
    if (current === "stopped" && before !== "stopped") interrupt();
    if (before === "disconnected" && current === "ready") resume();
    paint();
  };
  const ping = () => {
    if (current === "stopped") return;
    const timeout = setTimeout(() => update(false), PING_TIMEOUT_MS);
    view.request("ping").then(() => {
      clearTimeout(timeout);
      update(true);
    }, () => clearTimeout(timeout));
  };
  const onChange = () => update(current !== "busy");
  kernel?.statusChanged.connect(onChange);
  kernel?.connectionStatusChanged.connect(onChange);
  view.model.on("comm_live_update", onChange);
  const timer = setInterval(() => view.model.get("running") && ping(), PING_EVERY_MS);
  view.signal.addEventListener("abort", () => {
    clearInterval(timer);
    kernel?.statusChanged.disconnect(onChange);
    kernel?.connectionStatusChanged.disconnect(onChange);
    view.model.off("comm_live_update", onChange);
  });
  follow(view, ["running"], paint);
  return { element: line, ping };
}

/**
 * @param {Model} model
 * @returns {Kernel | null}
 */
function kernelOf(model) {
  const { widget_manager: manager } = /** @type {{widget_manager?: {kernel?: Kernel | null}}} */ (
    /** @type {unknown} */ (model));
  const kernel = manager?.kernel;
  return kernel?.statusChanged && kernel.connectionStatusChanged ? kernel : null;
}

/**
 * The connection status after what was last observed.
 * @param {ConnectionStatus} before
 * @param {{status?: string, connection?: string, answered?: boolean}} observed the kernel's status
 *   and connection as Jupyter reports them, and whether the last ping was answered in time
 * @returns {ConnectionStatus}
 */
export function connectionStatus(before, { status = "", connection = "connected", answered = true }) {
  if (before === "stopped" || STOPPED_STATUSES.has(status)) return "stopped";
  if (connection !== "connected") return "disconnected";
  if (answered) return "ready";
  return status === "" || status === "busy" ? "busy" : before;
}

/**
 * The line that describes a connection status; empty when there is nothing to report.
 * @param {ConnectionStatus} status
 * @param {boolean} running whether calls are in progress
 */
export function connectionMessage(status, running) {
  if (status === "busy") return running ? KERNEL_BUSY : KERNEL_BUSY_BEFORE_RUN;
  return { ready: "", disconnected: KERNEL_DISCONNECTED, stopped: KERNEL_STOPPED }[status];
}
