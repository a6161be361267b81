// What is kept while somebody works: a draft, on the server and, until it is there, in this browser; the lease; and the
// time for which the page was in sight. It knows the form and nothing of rankings.

import { KEEPALIVE_CHARACTERS, fieldsOf, putBack, token } from "./fields.js";
import { Store } from "./store.js";

const DRAFT_AFTER_MS = 700;
const FORGET_AFTER_MS = 14 * 86_400_000;

export class Keeper {
  // `kept`: fields of an answer that was refused, to begin with.
  constructor(form, { user, signal, kept, onFailure }) {
    this.form = form;
    this.signal = signal;
    this.onFailure = onFailure;
    this.drafts = new Store("draft", user);
    this.onRenewed = () => {};
    this.isUnsaved = false;
    this.lastActivity = Date.now();
    this.restore(kept);
    const on = (target, type, handler) => target.addEventListener(type, handler, { signal });
    for (const type of ["pointerdown", "keydown", "scroll", "pointermove"]) on(document, type, () => (this.lastActivity = Date.now()));
    on(document, "visibilitychange", () => document.hidden && this.saveDraftNow());
    on(window, "pagehide", () => this.saveDraftNow());
    on(window, "online", () => this.saveDraftNow());
    signal.addEventListener("abort", () => clearTimeout(this.draftTimer));
    this.keepLease();
    this.measureTime();
  }

  control(name) {
    return this.form.elements.namedItem(name);
  }

  // A copy lies in this browser only while the server does not have it: then it is the newer one.
  restore(kept) {
    for (const { id, at } of this.drafts.all()) if (Date.now() - at > FORGET_AFTER_MS) this.drafts.drop(id);
    const fields = kept ?? this.drafts.get(this.form.dataset.task)?.fields;
    this.isRestored = Boolean(fields);
    if (!fields) return;
    putBack(this.form, fields);
    this.saveDraftSoon();
  }

  // The answer itself goes out now: a draft behind it would only be refused.
  beforeSubmit() {
    clearTimeout(this.draftTimer);
    this.isUnsaved = false;
    this.control("csrfmiddlewaretoken").value = token();
    this.writeTime();
  }

  submitted() {
    this.beforeSubmit();
    this.drafts.drop(this.form.dataset.task);
  }

  refusal(status) {
    if (status === 401 || status === 403) {
      return "You are signed out. Sign in in another tab, then press Submit here again: your answer is still here.";
    }
    return `The server answered with an error (${status}). Your answer is still here: press Submit to try again.`;
  }

  saveDraftSoon() {
    clearTimeout(this.draftTimer);
    this.isUnsaved = true;
    this.drafts.put(this.form.dataset.task, { at: Date.now(), fields: fieldsOf(this.form) });
    this.draftTimer = setTimeout(() => this.saveDraftNow(), DRAFT_AFTER_MS);
  }

  async saveDraftNow() {
    clearTimeout(this.draftTimer);
    if (!this.form.dataset.draftUrl || !this.isUnsaved) return;
    this.isUnsaved = false;
    const isSaved = await this.post(this.form.dataset.draftUrl);
    if (!isSaved) this.isUnsaved = true;
    else if (!this.isUnsaved && !this.signal.aborted) this.drafts.drop(this.form.dataset.task);
  }

  keepLease() {
    if (!this.form.dataset.renewUrl) return;
    const leaseMs = Number(this.form.dataset.leaseSeconds) * 1000;
    const timer = setInterval(async () => {
      // Held for whoever works here, not for a page that was forgotten open.
      if (Date.now() - this.lastActivity > leaseMs) return;
      if (await this.post(this.form.dataset.renewUrl)) this.onRenewed(leaseMs);
    }, leaseMs / 3);
    this.signal.addEventListener("abort", () => clearInterval(timer));
  }

  // True when the server has it. A refusal (409) is shown: the slot went to somebody else.
  async post(address) {
    const body = new URLSearchParams([...fieldsOf(this.form), ["csrfmiddlewaretoken", token()]]);
    try {
      const response = await fetch(address, {
        method: "POST", body, headers: { "HX-Request": "true" }, keepalive: body.toString().length < KEEPALIVE_CHARACTERS,
      });
      if (this.signal.aborted) return response.ok;
      if (response.status === 409) this.onFailure(await response.text());
      if (response.status === 401 || response.status === 403) this.onFailure(this.refusal(response.status));
      return response.ok;
    } catch {
      return false; // tried again with the next change or renewal
    }
  }

  // Seconds for which this page was in sight, on top of what the draft says of earlier.
  measureTime() {
    this.seconds = Number(this.control("seconds_spent").value) || 0;
    this.lastTick = performance.now();
    const timer = setInterval(() => this.writeTime(), 1000);
    document.addEventListener("visibilitychange", () => this.writeTime({ wasHidden: !document.hidden }), { signal: this.signal });
    this.signal.addEventListener("abort", () => clearInterval(timer));
  }

  writeTime({ wasHidden = document.hidden } = {}) {
    const now = performance.now();
    if (!wasHidden) this.seconds += (now - this.lastTick) / 1000;
    this.lastTick = now;
    this.control("seconds_spent").value = this.seconds.toFixed(1);
  }
}
