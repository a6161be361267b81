// The ranking page, task after task. A submitted answer goes into the outbox and the task that lies ready is shown at
// once; where none does, the form is posted as it would be without this script. What one task is made of is in ranking/.

import { Ahead } from "./ranking/ahead.js";
import { Comparing } from "./ranking/comparing.js";
import { fieldsOf, token } from "./ranking/fields.js";
import { askBeforeLeaving } from "./ranking/leaving.js";
import { Outbox } from "./ranking/outbox.js";
import { OutboxStatus } from "./ranking/outbox_status.js";
import { CALM_MS, RankingPage } from "./ranking/page.js";
import { arrived, carryOn, takeBack } from "./ranking/task_head.js";

const SIGN_OUT_AFTER_MS = 3_000;

class Session {
  constructor(holder) {
    this.user = holder.dataset.user;
    this.page = null;
    this.follows = false; // whether another task was here before this one
    this.ahead = new Ahead((state) => (holder.dataset.ahead = state));
    this.outbox = new Outbox(this.user);
    this.comparing = new Comparing(document.getElementById("compare"));
    new OutboxStatus(this.outbox, {
      line: holder.querySelector("[data-waiting]"), list: holder.querySelector("[data-refused]"), signIn: holder.dataset.signIn,
    });
    this.outbox.addEventListener("sent", (event) => this.onSent(event.detail));
    this.outbox.addEventListener("refused", (event) => this.onRefused(event.detail));
    this.outbox.addEventListener("settled", () => this.lookAhead());
    document.addEventListener("click", (event) => this.onClick(event), true);
    document.addEventListener("submit", (event) => this.onSubmit(event), true);
    document.addEventListener("htmx:beforeRequest", ({ detail }) => detail.elt === this.page?.form && (detail.elt.inert = true));
    document.addEventListener("htmx:beforeOnLoad", (event) => this.beforeOnLoad(event.detail));
    document.addEventListener("htmx:afterRequest", (event) => this.afterRequest(event.detail));
    document.addEventListener("htmx:sendError", (event) => this.onSendError(event.detail.elt));
    document.addEventListener("keydown", (event) => this.onKey(event));
    document.addEventListener("htmx:afterSettle", (event) => event.target.id === "task" && this.arrive());
    this.start();
    this.outbox.flush();
  }

  start() {
    const form = document.querySelector("form[data-ranking]");
    if (this.page?.form === form) return;
    this.page?.end();
    const entry = form && this.outbox.entryOf(form.dataset.task);
    // What is on its way is shown as it is, whatever was written since.
    const kept = entry?.kind === "answer" ? { at: entry.refused ? entry.at : Infinity, fields: entry.fields } : null;
    this.page = form ? new RankingPage(form, { user: this.user, kept, follows: this.follows }) : null;
    if (this.page) this.page.keeper.onRenewed = (leaseMs) => this.ahead.renewed(leaseMs);
    if (entry && !entry.refused) this.hold();
  }

  arrive() {
    this.follows = true;
    this.start();
    const goOn = document.querySelector("[data-go-on]");
    if (goOn) setTimeout(() => (goOn.dataset.goOn = "ready"), CALM_MS);
    this.keepAddress();
    window.scrollTo(0, 0);
    document.getElementById("task-title")?.focus({ preventScroll: true });
  }

  // A task that was opened by an address of its own is followed by others: a reload is to show the newest.
  keepAddress() {
    if (this.page && window.location.pathname.includes(this.page.task)) return;
    window.history.replaceState(null, "", document.getElementById("task").dataset.nextUrl ?? window.location.href);
  }

  get project() {
    return document.getElementById("task")?.dataset.nextUrl;
  }

  get isWaiting() {
    return this.outbox.waitingOf(this.project).length > 0;
  }

  // Only once nothing of this project waits: what is not judged yet for the server, it would hand out again.
  lookAhead() {
    const { page } = this;
    const url = document.getElementById("task")?.dataset.aheadUrl;
    if (page && url && !page.waits && !page.form.inert && !this.isWaiting) this.ahead.fetch({ of: page.task, url });
  }

  // Before the response is shown: afterwards this page is another one.
  beforeOnLoad({ elt, xhr }) {
    if (xhr.status >= 300 || elt !== this.page?.form) return;
    this.page.keeper.submitted();
    this.outbox.forgetRefused(this.page.task);
  }

  afterRequest({ elt, successful, xhr }) {
    if (elt.id === "flag") this.flagged(elt, successful ? "" : xhr.responseText || "The server cannot be reached. Your note is still under Flag.");
    if (elt === this.page?.form) elt.inert = false; // what was changed while it was on its way would have been lost
    if (elt.id === "guidelines-read" && successful) this.page?.layout.guidelinesRead();
    this.lookAhead();
  }

  flagged(form, refusal) {
    if (refusal) return this.page?.fail(refusal);
    const menu = this.page.form.querySelector("[data-flag-menu]");
    menu.open = false;
    document.getElementById("task-title").focus({ preventScroll: true });
    form.reset();
    this.page.say("Flagged for the managers.");
  }

  // Sending

  onSubmit(event) {
    const kind = { ranking: "answer", skip: "skip" }[event.target.id];
    const { page } = this;
    if (event.target.dataset.signOut && !this.isLeaving) return this.beforeSignOut(event);
    if (event.target.elements.csrfmiddlewaretoken) event.target.elements.csrfmiddlewaretoken.value = token();
    if (!kind || !page) return;
    page.keeper.beforeSubmit();
    if (page.waits) return;
    const next = this.ahead.take(page.task);
    const entry = this.entry(kind, event.target, event.submitter);
    if (!next || !this.outbox.add(entry)) return; // as without a script: htmx sends it and shows what comes
    event.preventDefault();
    event.stopImmediatePropagation();
    page.keeper.submitted();
    document.getElementById("task").replaceWith(next);
    carryOn(entry);
    window.htmx.process(next);
    this.arrive();
    this.page?.say("On its way. This is the next comparison.");
    this.outbox.flush();
  }

  entry(kind, form, submitter) {
    const { page } = this;
    const fields = fieldsOf(form);
    if (submitter?.name) fields.push([submitter.name, submitter.value]);
    const words = kind === "answer" ? page.answer.words() : "Skipped.";
    return { kind, project: this.project, task: page.task, url: form.getAttribute("action"), link: page.form.dataset.link, fields, words };
  }

  // What the server can still have of this user it gets first: this browser is to keep none of their words.
  async beforeSignOut(event) {
    event.preventDefault();
    event.stopImmediatePropagation();
    this.isLeaving = true;
    const sent = Promise.all([this.page?.keeper.saveDraftNow(), this.outbox.flush()]);
    await Promise.race([sent, new Promise((resolve) => setTimeout(resolve, SIGN_OUT_AFTER_MS))]);
    event.target.requestSubmit();
  }

  // The request that htmx made did not get through: the answer waits here, and the next task comes once it has arrived.
  onSendError(form) {
    const { page } = this;
    const kind = { ranking: "answer", skip: "skip" }[form.id];
    if (!kind || !page) return;
    page.keeper.beforeSubmit();
    if (page.waits || !this.outbox.add(this.entry(kind, form, null))) {
      return page.fail("The server cannot be reached. Your answer is still here: press Submit to try again.");
    }
    this.outbox.trouble = "connection";
    this.hold();
    this.outbox.changed();
    this.outbox.tryLater();
  }

  // An answer on its way is not changed any more; what comes next is asked for when it has arrived.
  hold() {
    this.page.form.inert = true;
    this.page.form.classList.add("is-sent");
    this.page.keeper.stopDrafting();
    this.page.say("Your answer waits for the connection and is sent by itself.");
  }

  onSent(entry) {
    arrived(entry.task);
    if (this.page?.task !== entry.task || this.page.waits) return;
    this.page.keeper.submitted();
    window.htmx.ajax("GET", document.getElementById("task").dataset.nextUrl, { target: "#task", swap: "outerHTML settle:0ms" });
  }

  onRefused(entry) {
    takeBack(entry.task);
    if (this.page?.task !== entry.task) return;
    this.page.form.inert = false;
    this.page.form.classList.remove("is-sent");
    this.page.fail(entry.refused);
  }

  // Beside the task itself. Enter on a training item's feedback goes on, once it can have been seen.
  onKey(event) {
    const goOn = !this.page && document.querySelector("[data-go-on]");
    const isFree = !document.activeElement?.matches("a, button, summary, input, select, textarea");
    if (!goOn || event.key !== "Enter" || event.repeat || !isFree || document.querySelector("dialog[open]")) return;
    if (goOn.dataset.goOn === "ready") goOn.click();
  }

  onClick(event) {
    const target = event.target.closest?.("[data-raw], [data-keys], [data-columns], [data-compare], [data-correct], [data-previous], [data-forward], [data-submit]");
    if (!target) return;
    const { dataset } = target;
    if (target.matches("[data-previous], [data-forward]") && this.page?.isCorrectionBegun) {
      event.preventDefault();
      askBeforeLeaving(this.page, target.href);
    } else if ("submit" in dataset) {
      // The second click of a double click falls on the task that the first one brought.
      if (event.detail > 1) event.preventDefault();
    } else if ("keys" in dataset) document.getElementById("keys").showModal();
    else if ("raw" in dataset) this.page?.layout.toggleRaw();
    else if ("columns" in dataset) this.page?.layout.nextColumns();
    else if ("compare" in dataset && this.page) this.comparing.open(this.page);
    else if (this.isWaiting) this.goBack(event, target.href);
  }

  // One's last answer can be opened once it has arrived.
  async goBack(event, address) {
    event.preventDefault();
    this.page?.say("Your last answer is sent first.");
    await this.outbox.flush();
    if (!this.isWaiting) window.location.assign(address);
    else this.page?.say("Your last answer has not arrived yet. It waits for the connection.");
  }
}

const holder = document.querySelector("[data-session]");
if (holder) new Session(holder);
