// What is kept while somebody works: a draft, on the server and, until it is there, in this browser; the lease; and the
// time for which the page was in sight. It knows the form and nothing of rankings.

import { KEEPALIVE_CHARACTERS, contentOf, fieldsOf, newKey, putBack, token } from "./fields.js";
import { Store } from "./store.js";

const DRAFT_AFTER_MS = 700;
const FORGET_AFTER_MS = 14 * 86_400_000;

export class Keeper {
  // `kept`: an answer that was refused or is on its way, to begin with: its fields, and when they were written.
  constructor(form, { user, signal, kept, onFailure }) {
    this.form = form;
    this.signal = signal;
    this.onFailure = onFailure;
    this.drafts = new Store("draft", user);
    this.onRenewed = () => {};
    this.isUnsaved = false;
    this.sent = null; // what was sent last from this page, and perhaps arrived
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

  // A copy lies in this browser only while the server does not have it. Meanwhile one may have gone on elsewhere: the
  // newest counts. Only a refused answer is put back over a judgment whatever its age: that is why it was opened.
  restore(kept) {
    for (const { id, at } of this.drafts.all()) if (Date.now() - at > FORGET_AFTER_MS) this.drafts.drop(id);
    const { task, draftUrl, draftedAt } = this.form.dataset;
    const [newest] = [kept, this.drafts.get(task)].filter(Boolean).sort((a, b) => b.at - a.at);
    const isPastJudging = newest === kept && !draftUrl;
    this.isRestored = Boolean(newest?.fields) && (isPastJudging || newest.at > Number(draftedAt));
    if (!this.isRestored) return;
    putBack(this.form, newest.fields);
    this.saveDraftSoon();
  }

  // The answer itself goes out now: a draft behind it would only be refused.
  beforeSubmit() {
    this.stopDrafting();
    this.control("csrfmiddlewaretoken").value = token();
    this.renewKey();
    this.writeTime();
  }

  // One key is one answer. What was sent may have arrived without a word of it, and then another answer needs another
  // key; the server learns of the one before, so that it does not take this for an answer from another tab.
  renewKey() {
    const content = contentOf(this.form);
    if (this.sent !== null && this.sent !== content) {
      const [key, earlier] = [this.control("request_key"), this.control("earlier_keys")];
      earlier.value = `${earlier.value} ${key.value}`.trim();
      key.value = newKey();
    }
    this.sent = content;
  }

  stopDrafting() {
    clearTimeout(this.draftTimer);
    this.isUnsaved = false;
  }

  submitted() {
    this.stopDrafting();
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
    this.draftedAt = Date.now();
    this.drafts.put(this.form.dataset.task, { at: this.draftedAt, fields: fieldsOf(this.form) });
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
    const body = new URLSearchParams([...fieldsOf(this.form), ["drafted_at", this.draftedAt ?? ""], ["csrfmiddlewaretoken", token()]]);
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
