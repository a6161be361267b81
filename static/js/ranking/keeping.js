// What the page keeps on the server while somebody works: a draft and the lease; and the time for which it was in sight.
// It sends the form as it stands and knows nothing of rankings.

const DRAFT_AFTER_MS = 700;

export class Keeper {
  constructor(form, { signal, onFailure }) {
    this.form = form;
    this.signal = signal;
    this.onFailure = onFailure;
    this.isUnsaved = false;
    this.lastActivity = Date.now();
    const on = (target, type, handler) => target.addEventListener(type, handler, { signal });
    for (const type of ["pointerdown", "keydown", "scroll", "pointermove"]) on(document, type, () => (this.lastActivity = Date.now()));
    on(document, "visibilitychange", () => document.hidden && this.saveDraftNow());
    on(window, "pagehide", () => this.saveDraftNow());
    signal.addEventListener("abort", () => clearTimeout(this.draftTimer));
    this.keepLease();
    this.measureTime();
  }

  control(name) {
    return this.form.elements.namedItem(name);
  }

  // The answer itself goes out now: a draft behind it would only be refused.
  beforeSubmit() {
    clearTimeout(this.draftTimer);
    this.isUnsaved = false;
    this.freshToken();
    this.writeTime();
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
    this.draftTimer = setTimeout(() => this.saveDraftNow(), DRAFT_AFTER_MS);
  }

  async saveDraftNow() {
    clearTimeout(this.draftTimer);
    if (!this.form.dataset.draftUrl || !this.isUnsaved) return;
    this.isUnsaved = false;
    if (!(await this.post(this.form.dataset.draftUrl))) this.isUnsaved = true;
  }

  keepLease() {
    if (!this.form.dataset.renewUrl) return;
    const leaseMs = Number(this.form.dataset.leaseSeconds) * 1000;
    const timer = setInterval(() => {
      // Held for whoever works here, not for a page that was forgotten open.
      if (Date.now() - this.lastActivity < leaseMs) this.post(this.form.dataset.renewUrl);
    }, leaseMs / 3);
    this.signal.addEventListener("abort", () => clearInterval(timer));
  }

  // True when the server has it. A refusal (409) is shown: the slot went to somebody else.
  async post(address) {
    this.freshToken();
    try {
      const response = await fetch(address, {
        method: "POST", body: new FormData(this.form), keepalive: true, headers: { "HX-Request": "true" },
      });
      if (this.signal.aborted) return true;
      if (response.status === 409) this.onFailure(await response.text());
      if (response.status === 401 || response.status === 403) this.onFailure(this.refusal(response.status));
      return response.ok || response.status === 409;
    } catch {
      return false; // tried again with the next change or renewal
    }
  }

  // Signing in again in another tab makes a new token; with it, what is on this page can still be sent.
  freshToken() {
    const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
    if (token) this.control("csrfmiddlewaretoken").value = token[1];
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
