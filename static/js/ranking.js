// The ranking page. The form's own selects are the truth that is sent; this fills them, by mouse, finger or keyboard.
// The board that shows them and the requests that keep them are in ranking/.

import { Board } from "./ranking/board.js";
import { Keeper } from "./ranking/keeping.js";
import { DEFAULT_STRENGTH, SHORT, STRENGTHS, clone, moved, ordinal, without } from "./ranking/rankings.js";

class RankingPage {
  constructor(form) {
    this.form = form;
    this.letters = [...form.querySelectorAll("[data-letter]")].map((card) => card.dataset.letter);
    this.allowTies = "allowTies" in form.dataset;
    this.askStrength = "askStrength" in form.dataset;
    this.submitButton = form.querySelector("[data-submit]");
    this.history = [];
    this.tieNext = false;
    this.marked = null; // the gap that s and the arrows act on; null: the last one
    this.stop = new AbortController();
    this.ranking = this.read();
    this.board = new Board(this, form.querySelector("[data-board]"), this.stop.signal);
    form.noValidate = true;
    form.classList.add("is-enhanced");
    this.listen();
    this.render();
    this.capLongAnswers();
    this.keeper = new Keeper(form, { signal: this.stop.signal, onFailure: (text) => this.fail(text) });
  }

  // The form's selects, read once at the start and written on each change.

  control(name) {
    return this.form.elements.namedItem(name);
  }

  read() {
    const ranks = this.letters.map((letter) => [letter, Number(this.control(`rank_${letter}`).value)]).filter(([, rank]) => rank);
    const places = [...new Set(ranks.map(([, rank]) => rank))].sort((a, b) => a - b);
    const groups = places.map((place) => ranks.filter(([, rank]) => rank === place).map(([letter]) => letter));
    const strengths = groups.slice(1).map((_, i) => this.control(`strength_${i + 1}`)?.value || DEFAULT_STRENGTH);
    return { groups, strengths };
  }

  write() {
    for (const letter of this.letters) this.control(`rank_${letter}`).value = this.placeOf(letter) || "";
    this.letters.slice(1).forEach((_, i) => {
      const select = this.control(`strength_${i + 1}`);
      if (select) select.value = this.ranking.strengths[i] ?? DEFAULT_STRENGTH;
    });
  }

  placeOf(letter) {
    return this.ranking.groups.findIndex((group) => group.includes(letter)) + 1;
  }

  get unranked() {
    return this.letters.filter((letter) => !this.placeOf(letter));
  }

  get isComplete() {
    return this.unranked.length === 0;
  }

  get isQuick() {
    return this.letters.length === 2;
  }

  // Changes

  change(ranking) {
    this.history.push(clone(this.ranking));
    this.ranking = ranking;
    this.changed();
  }

  changed() {
    this.tieNext = false;
    if (this.marked !== null && this.marked >= this.ranking.strengths.length) this.marked = null;
    this.write();
    this.render();
    this.announce();
    this.keeper.saveDraftSoon();
  }

  pick(letter, { tie = this.tieNext } = {}) {
    if (this.placeOf(letter) && !tie) return this.change(without(this.ranking, letter));
    const last = this.ranking.groups.length - 1;
    if (tie && this.allowTies && last >= 0) {
      // With two, a tie ties them both, whatever was picked before.
      if (!this.ranking.groups[last].includes(letter)) this.change(moved(this.ranking, letter, { kind: "group", index: last }));
      return;
    }
    let next = moved(this.ranking, letter, { kind: "gap", index: last + 1 });
    if (this.isQuick) {
      const other = this.letters.find((each) => each !== letter);
      next = { groups: [[letter], [other]], strengths: [DEFAULT_STRENGTH] };
    }
    this.change(next);
  }

  armTie() {
    if (!this.allowTies) return this.say("This project has no ties.");
    if (this.isQuick) return this.change({ groups: [[...this.letters]], strengths: [] });
    if (!this.ranking.groups.length) return this.say("Pick one first, then tie the next with it.");
    this.tieNext = !this.tieNext;
    this.render();
    this.say(this.tieNext ? `The next pick ties with ${this.ranking.groups.at(-1).join(" and ")}.` : "No tie.");
  }

  undo() {
    if (!this.history.length) return;
    this.ranking = this.history.pop();
    this.changed();
  }

  setStrength(gap, strength) {
    this.marked = gap;
    const next = clone(this.ranking);
    next.strengths[gap] = strength;
    this.change(next);
  }

  get markedGap() {
    return this.marked ?? this.ranking.strengths.length - 1;
  }

  cycleStrength(step) {
    const gap = this.markedGap;
    if (!this.askStrength || gap < 0) return;
    const now = STRENGTHS.indexOf(this.ranking.strengths[gap]);
    this.setStrength(gap, STRENGTHS[(now + step + STRENGTHS.length) % STRENGTHS.length]);
  }

  markGap(step) {
    const gaps = this.ranking.strengths.length;
    if (!this.askStrength || !gaps) return;
    this.marked = Math.min(Math.max(this.markedGap + step, 0), gaps - 1);
    this.render();
    this.say(`Gap ${this.marked + 1}: ${this.ranking.strengths[this.marked].replace("_", " ")}.`);
  }

  submit() {
    if (!this.isComplete) return this.say(`${this.unranked.join(", ")} not ranked yet.`);
    this.form.requestSubmit(this.submitButton);
  }

  // What is shown

  render() {
    this.board.draw();
    for (const card of this.form.querySelectorAll("[data-letter]")) this.renderCard(card);
    this.submitButton.disabled = !this.isComplete;
    this.form.querySelector("[data-undo]").disabled = !this.history.length;
  }

  renderCard(card) {
    const { letter } = card.dataset;
    const place = this.placeOf(letter);
    const tied = place && this.ranking.groups[place - 1].length > 1;
    card.classList.toggle("is-ranked", Boolean(place));
    card.querySelector("[data-place]").textContent = place ? ordinal(place) + (tied ? ", tied" : "") : "";
    card.querySelector("[data-pick]").setAttribute("aria-pressed", String(Boolean(place)));
    card.querySelector("[data-pick]").setAttribute("aria-label", `Completion ${letter}, ${place ? ordinal(place) : "not ranked"}`);
    const tie = card.querySelector("[data-tie]");
    if (tie) tie.hidden = this.isQuick || Boolean(place) || !this.ranking.groups.length;
  }

  announce() {
    const { groups, strengths } = this.ranking;
    const words = groups.map((group, i) => group.join(" = ") + (i < strengths.length ? ` ${SHORT[strengths[i]]} >` : ""));
    this.say(words.join(" ") + (this.isComplete ? ". Complete: Enter submits." : ""));
  }

  say(text) {
    this.form.querySelector("[data-status]").textContent = text;
  }

  fail(text) {
    const notice = this.form.querySelector("[data-failure]");
    notice.textContent = text;
    notice.hidden = !text;
    if (!text) return;
    this.keeper.isUnsaved = true;
    notice.scrollIntoView({ block: "nearest" });
  }

  // Long completions start folded, so that the others stay in sight.
  capLongAnswers() {
    for (const card of this.form.querySelectorAll("[data-letter]")) {
      card.classList.add("is-long");
      const body = card.querySelector(".answer-body");
      const isLong = body.scrollHeight > body.clientHeight + 40;
      card.classList.toggle("is-long", isLong);
      card.querySelector("[data-more]").hidden = !isLong;
    }
  }

  toggleRaw() {
    const raw = this.form.classList.toggle("shows-raw");
    for (const pre of this.form.querySelectorAll("pre.raw")) pre.hidden = !raw;
    for (const rendered of this.form.querySelectorAll("[data-rendered]")) rendered.hidden = raw;
    document.querySelector("[data-raw]")?.setAttribute("aria-pressed", String(raw));
  }

  // Input

  listen() {
    const on = (target, type, handler) => target.addEventListener(type, handler, { signal: this.stop.signal });
    on(this.form, "click", (event) => this.onClick(event));
    on(this.form, "change", (event) => {
      const { gap } = event.target.dataset;
      if (gap !== undefined) this.setStrength(Number(gap), event.target.value);
    });
    on(this.form, "input", (event) => event.target.name === "rationale" && this.keeper.saveDraftSoon());
    on(this.form, "submit", () => this.keeper.beforeSubmit());
    on(document, "keydown", (event) => this.onKey(event));
    on(this.form, "htmx:beforeRequest", () => this.fail(""));
    on(this.form, "htmx:sendError", () => this.fail("The server cannot be reached. Your answer is still here: press Submit to try again."));
    on(this.form, "htmx:responseError", (event) => this.fail(this.keeper.refusal(event.detail.xhr.status)));
    on(this.form, "htmx:afterRequest", () => (this.submitButton.disabled = !this.isComplete));
  }

  onClick(event) {
    const target = event.target.closest("[data-pick], [data-tie], [data-chip], [data-undo], [data-more]");
    if (!target || this.board.justDragged) return;
    const { pick, tie, chip } = target.dataset;
    if (tie) this.pick(tie, { tie: true });
    else if (pick || chip) this.pick(pick ?? chip);
    else if ("undo" in target.dataset) this.undo();
    else if ("more" in target.dataset) {
      target.closest("[data-letter]").classList.remove("is-long");
      target.hidden = true;
    }
  }

  onKey(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.submit();
      return;
    }
    const focus = document.activeElement;
    if (focus?.matches("input, textarea, [contenteditable]")) {
      if (event.key === "Escape") focus.blur();
      return;
    }
    // On a list of choices, letters and arrows choose; on a link or a menu, Enter opens it.
    if (focus?.matches("select") && event.key !== "Enter") return;
    if (focus?.matches("a, summary, .menu-item, [data-submit], dialog *") && [" ", "Enter"].includes(event.key)) return;
    const action = this.keyAction(event);
    if (!action) return;
    event.preventDefault();
    action();
  }

  keyAction(event) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const byNumber = this.letters[Number(key) - 1];
    if (byNumber) return () => this.pick(byNumber);
    if (/^[a-i]$/.test(key) && this.letters.includes(key.toUpperCase())) return () => this.pick(key.toUpperCase());
    switch (key) {
      case "=": return () => this.armTie();
      case "Backspace": return () => this.undo();
      case "s": return () => this.cycleStrength(event.shiftKey ? -1 : 1);
      case "ArrowLeft": return () => this.markGap(-1);
      case "ArrowRight": return () => this.markGap(1);
      case "Enter":
        // On a half-done ranking Enter presses the button that has the focus, as everywhere.
        if (!this.isComplete && document.activeElement?.matches("button")) return null;
        return () => this.submit();
      case "k": return () => this.openSkip();
      case "n": return () => this.openNote();
      case "r": return () => this.toggleRaw();
      case "?": return () => document.getElementById("keys")?.showModal();
      default: return null;
    }
  }

  openSkip() {
    const menu = this.form.querySelector(".skip");
    if (!menu) return;
    menu.open = true;
    menu.querySelector(".menu-item").focus();
  }

  openNote() {
    const note = this.form.querySelector(".note");
    note.open = true;
    note.querySelector("textarea").focus();
  }

  drop(letter, place) {
    const [kind, index] = place.split(":");
    const isTie = kind === "group" && !this.ranking.groups[Number(index)].every((other) => other === letter);
    if (isTie && !this.allowTies) {
      this.render();
      return this.say("This project has no ties.");
    }
    this.change(moved(this.ranking, letter, { kind, index: Number(index) }));
  }

  end() {
    this.stop.abort();
  }
}

let page = null;

function start() {
  const form = document.querySelector("form[data-ranking]");
  if (page?.form === form) return;
  page?.end();
  page = form ? new RankingPage(form) : null;
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-raw]")) page?.toggleRaw();
  if (event.target.closest("[data-keys]")) document.getElementById("keys")?.showModal();
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id !== "task") return;
  start();
  window.scrollTo(0, 0);
  document.getElementById("task-title")?.focus({ preventScroll: true });
});
start();
