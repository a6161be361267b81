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
import { UNCHOSEN } from "./rankings.js";
import { isNarrow, isTouched } from "./screen.js";

export const CALM_MS = 300; // in which Enter on a task that has just come was meant for the one before it

export class RankingPage {
  constructor(form, { user, kept = null, follows = false }) {
    this.form = form;
    this.calmUntil = follows ? performance.now() + CALM_MS : 0;
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
    this.board.draw();
    this.layout = new Layout(this); // measures, and so comes after what it measures
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

  // A draft is on the server as well; of a correction nothing is, until it is saved.
  get isCorrection() {
    return !("draftUrl" in this.form.dataset);
  }

  get isCorrectionBegun() {
    return this.isCorrection && Boolean(this.hasChanged);
  }

  // Changes

  change(part) {
    this.answer.change(part);
    this.changed();
  }

  changed() {
    this.hasChanged = true;
    this.picking.settle();
    this.render();
    this.announce();
    this.keeper.saveDraftSoon();
  }

  undo() {
    this.goBack(() => this.answer.undo(), "Taken back", "Nothing to undo.");
  }

  redo() {
    this.goBack(() => this.answer.redo(), "Done again", "Nothing to do again.");
  }

  goBack(step, done, nothing) {
    const before = this.answer.marks;
    if (!step()) return this.say(nothing);
    this.changed();
    const mark = this.marks.nameOfChange(before, this.answer.marks);
    if (mark) this.say(`${done}: ${mark}.`);
  }

  // Enter: on a whole answer it submits, on another it leads to what is missing.
  submit() {
    if (performance.now() < this.calmUntil) return;
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
    line.textContent = missing.length ? `To do: ${this.listed(missing)}` : this.ready;
    line.classList.toggle("is-ready", !missing.length);
    line.tabIndex = missing.length ? 0 : -1;
    this.renderUndo();
    const bad = this.form.querySelector("[data-all-bad]");
    if (bad) bad.hidden = this.answer.badIsAChoice;
    const written = this.form.querySelector("[data-has-note]");
    if (written) written.hidden = !this.answer.control("rationale").value.trim();
  }

  listed(missing) {
    const [first, ...others] = missing.map(({ text }) => text);
    if (isNarrow() && others.length > 1) return `${first}, and ${others.length} more`;
    return [first, ...others].join(" · ");
  }

  // What nobody has said counts as "better": it may be left so, but not unknowingly.
  get ready() {
    const ready = isTouched() ? "Ready" : "Ready: Enter submits";
    if (!this.answer.unchosen) return ready;
    const word = this.answer.level(UNCHOSEN).short;
    if (isTouched()) return `${ready}. Dashed counts as “${word}”`;
    return `${ready} · Dashed: not chosen, “${word}” counts (s${this.answer.isQuick ? " or a click chooses" : ", arrows or a click choose"})`;
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
      this.hasChanged = true;
      this.render();
      this.keeper.saveDraftSoon();
    });
    on(document, "keydown", (event) => onKey(this, event));
    on(document, "click", (event) => this.layout.closeMore(event.target));
    on(this.form, "htmx:beforeRequest", () => this.fail(""));
    on(this.form, "htmx:responseError", (event) => this.fail(this.keeper.refusal(event.detail.xhr.status)));
    on(this.form, "htmx:afterRequest", () => (this.submitButton.disabled = !this.isReady));
  }

  onChange(target) {
    const { gap } = target.dataset;
    if (gap !== undefined) this.picking.setStrength(Number(gap), target.value);
    else if (target.name === "all_bad") this.change({ allBad: target.checked });
    else if (target.closest("[data-mark]")) this.marks.changed();
  }

  onClick(event) {
    const target = event.target.closest("[data-pick], [data-tie], [data-chip], [data-undo], [data-redo], [data-more], [data-edit], [data-missing], [data-rest], [data-fold]");
    if (!target || this.dragging.justDragged) return;
    const { pick, tie, chip, edit } = target.dataset;
    if (tie) this.picking.pick(tie, { tie: true });
    else if (pick || chip) this.picking.pick(pick ?? chip);
    else if (edit) this.editor.open(edit);
    else if ("undo" in target.dataset) this.undo();
    else if ("redo" in target.dataset) this.redo();
    else if ("missing" in target.dataset) missingIn(this)[0]?.focus();
    else if ("more" in target.dataset) this.layout.unfold(target);
    else if ("rest" in target.dataset) this.layout.toggleMore();
    else if ("fold" in target.dataset) this.layout.toggleMarks(target);
  }

  // To where Enter means the answer again, and no button.
  rest() {
    document.getElementById("task-title").focus({ preventScroll: true });
  }

  end() {
    this.stop.abort();
  }
}
