// One task on the screen: it holds the answer and the parts that show and keep it, and says what each input means.

import { Answer } from "./answer.js";
import { Board } from "./board.js";
import { renderCard } from "./cards.js";
import { Dragging } from "./dragging.js";
import { Editor } from "./editing.js";
import { Keeper } from "./keeping.js";
import { onKey } from "./keyboard.js";
import { Layout } from "./layout.js";
import { Marks } from "./marks.js";
import { missingIn } from "./missing.js";
import { Picking } from "./picking.js";

export class RankingPage {
  constructor(form, { user, kept = null }) {
    this.form = form;
    this.task = form.dataset.task;
    this.stop = new AbortController();
    const { signal } = this.stop;
    this.cards = [...form.querySelectorAll("[data-letter]")];
    this.submitButton = form.querySelector("[data-submit]");
    form.noValidate = true;
    form.classList.add("is-enhanced");
    this.keeper = new Keeper(form, { user, signal, kept, onFailure: (text) => this.fail(text) });
    this.answer = new Answer(form);
    this.picking = new Picking(this);
    this.board = new Board(this, form.querySelector("[data-board]"));
    this.dragging = new Dragging(this, this.board, signal);
    this.marks = new Marks(this);
    this.editor = new Editor(this, form.querySelector("[data-editor]"));
    this.layout = new Layout(this);
    this.answer.write();
    this.listen();
    this.render();
    if (this.keeper.isRestored) this.say("What you had not sent yet is back from this browser.");
  }

  get isReady() {
    return missingIn(this).length === 0;
  }

  // True where nothing but the server may say what comes next: feedback, a correction, a reviewer's decision.
  get waits() {
    return "waits" in this.form.dataset;
  }

  // Changes

  change(part) {
    this.answer.change(part);
    this.changed();
  }

  changed() {
    this.picking.settle();
    this.render();
    this.announce();
    this.keeper.saveDraftSoon();
  }

  undo() {
    if (this.answer.undo()) this.changed();
    else this.say("Nothing to undo.");
  }

  redo() {
    if (this.answer.redo()) this.changed();
    else this.say("Nothing to do again.");
  }

  // Enter: on a whole answer it submits, on another it leads to what is missing.
  submit() {
    const [first] = missingIn(this);
    if (!first) return this.form.requestSubmit(this.submitButton);
    this.say(`${first.text} first.`);
    first.focus();
  }

  // What is shown

  render() {
    this.board.draw();
    for (const card of this.cards) renderCard(this, card);
    this.editor.render();
    const missing = missingIn(this);
    this.submitButton.disabled = missing.length > 0;
    const line = this.form.querySelector("[data-missing]");
    const ready = window.matchMedia("(pointer: coarse)").matches ? "Ready" : "Ready: Enter submits";
    line.textContent = missing.length ? `To do: ${missing.map(({ text }) => text).join(" · ")}` : ready;
    line.classList.toggle("is-ready", !missing.length);
    line.tabIndex = missing.length ? 0 : -1;
    this.renderUndo();
    const bad = this.form.querySelector("[data-all-bad]");
    if (bad) bad.hidden = this.answer.badIsAChoice;
  }

  // A button that goes out of use hands the focus to the other one.
  renderUndo() {
    const [undo, redo] = ["[data-undo]", "[data-redo]"].map((name) => this.form.querySelector(name));
    const focused = document.activeElement;
    undo.disabled = !this.answer.past.length;
    redo.disabled = !this.answer.future.length;
    if (focused === undo && undo.disabled) redo.focus();
    if (focused === redo && redo.disabled) undo.focus();
  }

  announce() {
    const missing = missingIn(this).map(({ text }) => text);
    this.say(`${this.answer.words()}. ${missing.length ? missing.join(", ") : "Complete: Enter submits"}.`);
  }

  say(text) {
    document.querySelector("[data-status]").textContent = text;
  }

  fail(text) {
    const notice = this.form.querySelector("[data-failure]");
    notice.textContent = text;
    notice.hidden = !text;
    if (!text) return;
    this.keeper.isUnsaved = true;
    notice.scrollIntoView({ block: "nearest" });
  }

  // Input

  listen() {
    const on = (target, type, handler) => target.addEventListener(type, handler, { signal: this.stop.signal });
    on(this.form, "click", (event) => this.onClick(event));
    on(this.form, "change", (event) => this.onChange(event.target));
    on(this.form, "input", (event) => {
      if (!["rationale", "edit_text"].includes(event.target.name)) return;
      this.render();
      this.keeper.saveDraftSoon();
    });
    on(document, "keydown", (event) => onKey(this, event));
    on(this.form, "htmx:beforeRequest", () => this.fail(""));
    on(this.form, "htmx:responseError", (event) => this.fail(this.keeper.refusal(event.detail.xhr.status)));
    on(this.form, "htmx:afterRequest", () => (this.submitButton.disabled = !this.isReady));
  }

  onChange(target) {
    const { gap } = target.dataset;
    if (gap !== undefined) this.picking.setStrength(Number(gap), target.value);
    else if (target.name === "all_bad") this.change({ allBad: target.checked });
    else if (target.closest("[data-mark]")) this.changed();
  }

  onClick(event) {
    const target = event.target.closest("[data-pick], [data-tie], [data-chip], [data-undo], [data-redo], [data-more], [data-edit], [data-missing]");
    if (!target || this.dragging.justDragged) return;
    const { pick, tie, chip, edit } = target.dataset;
    if (tie) this.picking.pick(tie, { tie: true });
    else if (pick || chip) this.picking.pick(pick ?? chip);
    else if (edit) this.editor.open(edit);
    else if ("undo" in target.dataset) this.undo();
    else if ("redo" in target.dataset) this.redo();
    else if ("missing" in target.dataset) missingIn(this)[0]?.focus();
    else if ("more" in target.dataset) this.layout.unfold(target);
  }

  end() {
    this.stop.abort();
  }
}
