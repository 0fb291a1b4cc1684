import assert from "node:assert/strict";
import { test } from "node:test";
import {
  KERNEL_DISCONNECTED, KERNEL_BUSY, KERNEL_BUSY_BEFORE_RUN, KERNEL_STOPPED, connectionStatus, connectionMessage,
} from "../../llm_playground/widget/view/kernel.js";

test("treats an unresponsive kernel as busy unless it is idle or stopped", () => {
  assert.equal(connectionStatus("ready", { answered: false }), "busy");
  assert.equal(connectionStatus("ready", { status: "busy", answered: false }), "busy");
  assert.equal(connectionStatus("ready", { status: "idle", answered: false }), "ready");
  assert.equal(connectionStatus("busy", { status: "busy", answered: true }), "ready");
  assert.equal(connectionStatus("ready", { status: "busy" }), "ready");
  assert.equal(connectionStatus("ready", { connection: "connecting" }), "disconnected");
  for (const status of ["restarting", "autorestarting", "dead", "terminating"]) {
    assert.equal(connectionStatus("ready", { status }), "stopped");
  }
  assert.equal(connectionStatus("stopped", { status: "idle" }), "stopped", "another kernel has no such panel");
});

test("has a message for each status", () => {
  assert.equal(connectionMessage("ready", true), "");
  assert.equal(connectionMessage("busy", true), KERNEL_BUSY);
  assert.equal(connectionMessage("busy", false), KERNEL_BUSY_BEFORE_RUN);
  assert.equal(connectionMessage("disconnected", true), KERNEL_DISCONNECTED);
  assert.equal(connectionMessage("stopped", false), KERNEL_STOPPED);
});
