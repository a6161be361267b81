// The task after this one, leased and fetched while this one is worked on, so that nobody waits for it.

import { token } from "./fields.js";

export class Ahead {
  constructor(onChange) {
    this.onChange = onChange;
    this.forget();
  }

  forget() {
    this.onChange("none");
    this.of = null; // the task that it comes after
    this.task = null;
    this.request?.abort();
  }

  // Ask for what comes after `of`. Only once nothing waits in the outbox: until then the server would hand that out again.
  async fetch({ of, url }) {
    if (this.of === of) return;
    this.forget();
    this.of = of;
    this.request = new AbortController();
    try {
      const response = await fetch(url, {
        method: "POST", body: new URLSearchParams({ of, csrfmiddlewaretoken: token() }),
        headers: { "HX-Request": "true" }, signal: this.request.signal,
      });
      if (response.status !== 200 || response.redirected || this.of !== of) return;
      this.read(await response.text(), of);
    } catch {
      if (this.of === of) this.of = null; // asked again when the connection is back
    }
  }

  read(html, of) {
    const section = new DOMParser().parseFromString(html, "text/html").querySelector("#task");
    const form = section?.querySelector("form[data-task]");
    if (!form || form.dataset.task === of || this.of !== of) return;
    this.onChange("ready");
    this.task = { section, leasedUntil: Date.now() + Number(form.dataset.leaseSeconds) * 1000 };
  }

  // The page has renewed its leases, and with them the one of what lies ready here.
  renewed(leaseMs) {
    if (this.task) this.task.leasedUntil = Date.now() + leaseMs;
  }

  // What comes after `of`, once; null where nothing lies ready or its lease may be over.
  take(of) {
    const isReady = this.of === of && this.task && Date.now() < this.task.leasedUntil;
    const section = isReady ? document.importNode(this.task.section, true) : null;
    this.forget();
    return section;
  }
}
