// The dialog that lists the keys.

import { h } from "./dom.js";
import { createDialog } from "./dialog.js";
import { KEY_HELP } from "./keys.js";

/** @param {import("./dom.js").View} view */
export function createKeysDialog(view) {
  const rows = KEY_HELP.map(([key, what]) => h("tr", {}, h("th", { scope: "row" }, key), h("td", {}, what)));
  return createDialog(view, "Keys", h("div", { class: "llm-keys" },
    h("table", {}, h("tbody", {}, ...rows)), h("p", {}, "Single letters work outside the text boxes.")));
}
