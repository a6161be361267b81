// How the task is laid out: raw or rendered, how many columns, what is folded, which panels are open. Choices are kept in
// this browser and hold for the tasks that follow.

import { element } from "./elements.js";
import { isNarrow } from "./screen.js";
import { remember, remembered } from "./store.js";

const COLUMNS = ["auto", "1", "2", "3"];
const TURNS_IN_SIGHT = 4;
const DEFECTS_IN_SIGHT = 4; // on a phone
const LEAST_PIXELS = 240; // of a folded completion
const MOST_PIXELS = 544;
const PHONE_PIXELS = 384;

export class Layout {
  constructor(page) {
    this.page = page;
    this.form = page.form;
    this.answers = this.form.querySelector(".answers");
    this.guidelines = document.querySelector("[data-guidelines]");
    this.showRaw(remembered("raw") === "on");
    this.showColumns(remembered(this.columnsName) ?? "auto");
    this.openGuidelines();
    const note = this.form.querySelector("[data-note]");
    if (note) note.open = false; // it is open for those who have no script
    this.fit();
    this.foldConversation();
    this.foldMarks();
    this.foldLongAnswers();
    this.reachScrollers();
    window.addEventListener("resize", () => this.fit(), { signal: page.stop.signal });
  }

  // Raw or rendered

  toggleRaw() {
    const raw = !this.form.classList.contains("shows-raw");
    remember("raw", raw ? "on" : "off");
    this.showRaw(raw);
    this.page.say(raw ? "Raw text." : "Rendered text.");
  }

  showRaw(raw) {
    this.form.classList.toggle("shows-raw", raw);
    for (const pre of this.form.querySelectorAll("pre.raw")) pre.hidden = !raw;
    for (const rendered of this.form.querySelectorAll("[data-rendered]")) rendered.hidden = raw;
    document.querySelector("[data-raw]")?.setAttribute("aria-pressed", String(raw));
  }

  // Columns

  get columnsName() {
    return `columns-${this.page.cards.length}`;
  }

  nextColumns() {
    const most = Math.min(this.page.cards.length, 3);
    const choices = COLUMNS.filter((each) => each === "auto" || Number(each) <= most);
    const next = choices[(choices.indexOf(this.answers.dataset.columns) + 1) % choices.length];
    remember(this.columnsName, next);
    this.showColumns(next);
    this.page.say(`Columns: ${next}.`);
  }

  showColumns(columns) {
    this.answers.dataset.columns = COLUMNS.includes(columns) ? columns : "auto";
    const button = document.querySelector("[data-columns-name]");
    if (button) button.textContent = this.answers.dataset.columns;
  }

  // Room: what lies between the head and the bar. Completions in one row are folded to fill just that.
  fit() {
    const bar = this.form.querySelector(".rank-bar").offsetHeight;
    const top = this.answers.getBoundingClientRect().top + window.scrollY;
    const room = Math.max(window.innerHeight - top - bar - 28, 0);
    const tops = new Set(this.page.cards.map((card) => card.offsetTop));
    const parts = (card) => [".answer-body", ".answer-more"].map((part) => card.querySelector(part).offsetHeight);
    const heads = Math.max(...this.page.cards.map((card) => parts(card).reduce((rest, part) => rest - part, card.offsetHeight)));
    const body = tops.size === 1 ? Math.max(room - heads - 42, LEAST_PIXELS) : MOST_PIXELS;
    // Not on what has an id: htmx would copy the style to the next one as an attribute, which the policy forbids.
    const { style } = this.form.querySelector(".task-columns");
    style.setProperty("--room", `${room}px`);
    style.setProperty("--fold", `${isNarrow() ? PHONE_PIXELS : body}px`);
  }

  // Guidelines: new ones are open on the first task that shows them, until somebody closes them; else as they were left.

  openGuidelines() {
    if (!this.guidelines) return;
    const { isNew, guidelines: version } = this.guidelines.dataset;
    const isUnseen = isNew !== undefined && remembered("guidelines-closed") !== version && this.isFirstWith(version);
    this.guidelines.open = isUnseen || remembered("guidelines") === "open";
    this.guidelines.addEventListener("click", (event) => {
      if (event.target.closest("summary")) this.rememberGuidelines(!this.guidelines.open);
    }, { signal: this.page.stop.signal });
  }

  isFirstWith(version) {
    const [seen, task] = (remembered("guidelines-first") ?? "").split(" ");
    if (seen !== version) remember("guidelines-first", `${version} ${this.page.task}`);
    return seen !== version || task === this.page.task;
  }

  rememberGuidelines(open) {
    remember("guidelines", open ? "open" : "closed");
    if (!open) remember("guidelines-closed", this.guidelines.dataset.guidelines);
  }

  guidelinesRead() {
    for (const each of this.guidelines.querySelectorAll("[data-new]")) each.remove();
    delete this.guidelines.dataset.isNew;
    this.page.rest();
    this.page.say("Noted: you have read the guidelines.");
  }

  toggleGuidelines() {
    if (!this.guidelines) return this.page.say("This project has no guidelines.");
    this.guidelines.open = !this.guidelines.open;
    this.rememberGuidelines(this.guidelines.open);
    // Not to the summary: there Enter would open it again instead of submitting.
    if (this.guidelines.open) this.guidelinesBody.focus();
    else this.page.rest();
  }

  get guidelinesBody() {
    return this.guidelines.querySelector(".guidelines-body");
  }

  // Folding

  // Of a long conversation the end is in sight, from the last question of the user on; the rest is one click away.
  foldConversation() {
    const conversation = this.form.querySelector("[data-conversation]");
    const turns = [...conversation.querySelectorAll("[data-turn]")];
    const lastAsked = turns.findLastIndex((turn) => turn.dataset.turn === "user");
    const from = Math.min(lastAsked, turns.length - 2) - 1;
    if (turns.length > TURNS_IN_SIGHT && from > 0) this.hideTurns(turns.slice(0, from));
    if (conversation.scrollHeight > conversation.clientHeight && lastAsked > 0) {
      conversation.scrollTop = turns[lastAsked].offsetTop - conversation.offsetTop - 8;
    }
    for (const scroller of [conversation, this.guidelines?.querySelector(".guidelines-body")].filter(Boolean)) {
      scroller.addEventListener("scroll", () => this.fade(scroller), { passive: true, signal: this.page.stop.signal });
      this.fade(scroller);
    }
    this.guidelines?.addEventListener("toggle", () => this.fade(this.guidelinesBody), { signal: this.page.stop.signal });
  }

  // Where there is more above or below, the edge fades.
  fade(scroller) {
    scroller.classList.toggle("has-above", scroller.scrollTop > 4);
    scroller.classList.toggle("has-below", scroller.scrollTop + scroller.clientHeight < scroller.scrollHeight - 4);
  }

  // Eleven defects under each completion are most of a phone's page: there they are behind their name.
  foldMarks() {
    if (!isNarrow()) return;
    for (const group of this.form.querySelectorAll('[data-mark="defects"]')) {
      if (group.querySelectorAll("input").length <= DEFECTS_IN_SIGHT) continue;
      const legend = group.querySelector("legend");
      const button = element("button", { type: "button", class: "fold", "data-fold": true, "aria-expanded": "false" });
      button.append(...legend.childNodes, element("span", { "data-count": true }));
      legend.append(button);
      group.classList.add("is-folded");
    }
  }

  toggleMarks(button) {
    const isFolded = button.closest("[data-mark]").classList.toggle("is-folded");
    button.setAttribute("aria-expanded", String(!isFolded));
  }

  unfoldMarks(group) {
    if (group.classList.contains("is-folded")) this.toggleMarks(group.querySelector("[data-fold]"));
  }

  // How many are marked of what is folded.
  countMarks(card) {
    const group = card.querySelector('[data-mark="defects"]');
    const count = group?.querySelector("[data-count]");
    if (count) count.textContent = ` (${group.querySelectorAll("input:checked").length})`;
  }

  hideTurns(turns) {
    for (const turn of turns) turn.hidden = true;
    const text = turns.length === 1 ? "Show the turn before" : `Show the ${turns.length} turns before`;
    const button = element("button", { type: "button", class: "answer-more" }, text);
    button.addEventListener("click", () => {
      for (const turn of turns) turn.hidden = false;
      turns[0].tabIndex = -1;
      turns[0].focus();
      button.remove();
    });
    turns[0].before(button);
  }

  // Long completions start folded, so that the others stay in sight.
  foldLongAnswers() {
    for (const card of this.page.cards) {
      card.classList.add("is-long");
      const body = card.querySelector(".answer-body");
      const isLong = body.scrollHeight > body.clientHeight + 40;
      card.classList.toggle("is-long", isLong);
      card.querySelector("[data-more]").hidden = !isLong;
    }
  }

  unfold(button) {
    const card = button.closest("[data-letter]");
    card.classList.remove("is-long");
    button.hidden = true;
    card.focus({ preventScroll: true });
  }

  // What scrolls sideways must be reachable without a mouse.
  reachScrollers() {
    const wide = this.form.parentElement.querySelectorAll('.prose :is(pre, table, math[display="block"])');
    for (const each of wide) if (each.scrollWidth > each.clientWidth) each.tabIndex = 0;
  }

  // Menus and the note

  openMenu(selector) {
    const menu = this.form.querySelector(selector);
    if (!menu) return;
    if (menu.closest(".rank-rest")) this.toggleMore(true);
    menu.open = true;
    menu.querySelector("textarea, .menu-item").focus();
  }

  openNote() {
    if (this.form.querySelector("[data-note]")) this.openMenu("[data-note]");
    else this.page.say("This project asks for no note.");
  }

  // On a phone, what is seldom wanted is behind "More".
  toggleMore(open = !this.form.querySelector(".rank-rest").classList.contains("is-open")) {
    this.form.querySelector(".rank-rest").classList.toggle("is-open", open);
    this.form.querySelector("[data-rest]").setAttribute("aria-expanded", String(open));
  }

  closeMore(clicked = null) {
    if (!clicked?.closest(".rank-rest, [data-rest], [data-missing]")) this.toggleMore(false);
  }
}
