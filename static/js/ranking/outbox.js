// Answers on their way. Each is kept in this browser until the server has said that it has it, and is sent again with
// growing pauses, when the connection comes back, and when a page is opened later. The request's key makes it one
// judgment however often it arrives. Kept by user, and the server takes an answer from its own annotator only.

import { KEEPALIVE_CHARACTERS, token } from "./fields.js";
import { Store } from "./store.js";

const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 60_000;
const PATIENCE_MS = 60_000; // then a request counts as lost, and is sent again

export class Outbox extends EventTarget {
  constructor(user) {
    super();
    this.user = user;
    this.store = new Store("outbox", user);
    this.pause = FIRST_PAUSE_MS;
    this.trouble = ""; // why nothing gets through: "", "connection", "signed-out"
    this.flushing = null;
    window.addEventListener("online", () => this.flush());
    window.addEventListener("storage", () => this.changed());
    document.addEventListener("visibilitychange", () => !document.hidden && this.flush());
  }

  get waiting() {
    return this.store.all().filter((entry) => !entry.refused);
  }

  get refused() {
    return this.store.all().filter((entry) => entry.refused);
  }

  entryOf(task) {
    return this.store.all().filter((entry) => entry.task === task).at(-1);
  }

  // Of one project, by the address of its next task.
  waitingOf(project) {
    return this.waiting.filter((entry) => !entry.project || entry.project === project);
  }

  // An entry has project, task, kind ("answer" or "skip"), url, fields, words and links. False: it could not be kept.
  add(entry) {
    this.forgetRefused(entry.task);
    if (!this.store.put(crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, { at: Date.now(), ...entry })) return false;
    this.changed();
    return true;
  }

  drop(id) {
    this.store.drop(id);
    this.changed();
  }

  // It was answered again, by whatever way.
  forgetRefused(task) {
    for (const entry of this.refused) if (entry.task === task) this.store.drop(entry.id);
    this.changed();
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  // Send what waits, oldest first, one after the other.
  async flush() {
    clearTimeout(this.timer);
    while (this.flushing) await this.flushing; // what was added meanwhile is sent by the next round
    this.flushing = this.alone(() => this.sendAll());
    try {
      return await this.flushing;
    } finally {
      this.flushing = null;
    }
  }

  // One tab at a time where the browser can tell; elsewhere the keys make a repeated answer harmless.
  alone(work) {
    return navigator.locks ? navigator.locks.request(this.store.prefix, work) : work();
  }

  async sendAll() {
    this.trouble = "";
    for (const entry of this.waiting) {
      const outcome = await this.send(entry);
      if (outcome.trouble) this.trouble = outcome.trouble;
      else this.settle(entry, outcome);
      if (outcome.isForAll) break;
    }
    this.changed();
    if (this.waiting.length) this.tryLater();
    this.dispatchEvent(new Event("settled"));
  }

  settle(entry, { refused, canOpen }) {
    this.pause = FIRST_PAUSE_MS;
    if (refused) this.store.put(entry.id, { ...entry, refused, canOpen });
    else this.store.drop(entry.id);
    this.dispatchEvent(new CustomEvent(refused ? "refused" : "sent", { detail: { ...entry, refused } }));
  }

  tryLater() {
    this.timer = setTimeout(() => this.flush(), this.pause * (0.75 + Math.random() / 2));
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE_MS);
  }

  async send({ url, fields }) {
    const body = new URLSearchParams([...fields, ["background", "1"], ["user", this.user], ["csrfmiddlewaretoken", token()]]);
    try {
      const response = await fetch(url, {
        method: "POST", body, headers: { "HX-Request": "true" }, keepalive: body.toString().length < KEEPALIVE_CHARACTERS,
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      return response.redirected ? { trouble: "signed-out", isForAll: true } : await this.outcome(response);
    } catch {
      return { trouble: "connection", isForAll: true };
    }
  }

  async outcome(response) {
    const { status } = response;
    if (response.ok) return {};
    if (status === 401) return { trouble: "signed-out", isForAll: true };
    // Final, by the server's own word to this user: the lease is lost, something is missing, they were removed.
    const isWords = response.headers.get("Content-Type")?.startsWith("text/plain");
    if (isWords && [403, 404, 409, 422].includes(status)) {
      return { refused: await response.text(), canOpen: response.headers.has("Content-Location") };
    }
    // A token that does not fit, or something between here and the server. Others may still get through.
    if (status === 403 || status === 404) return { trouble: "refused" };
    if (status < 500 && status !== 429) return { refused: `The server answered with an error (${status}).` };
    return { trouble: "connection", isForAll: true };
  }
}
