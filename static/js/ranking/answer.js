// The answer as it stands. The form's own controls are the truth that is sent: this reads them once and writes them on
// each change, and remembers what was before. It draws nothing.

import { DEFAULT_STRENGTH, EDIT, UNCHOSEN, clone, placeOf, settled } from "./rankings.js";

export class Answer {
  constructor(form) {
    this.form = form;
    this.letters = [...form.querySelectorAll("[data-letter]")].map((card) => card.dataset.letter);
    this.allowTies = "allowTies" in form.dataset;
    this.levels = JSON.parse(form.querySelector("#scale-levels")?.textContent || "[]"); // strongest first
    this.tieLabel = form.dataset.tieLabel || "tie";
    this.past = [];
    this.future = [];
    this.reread();
  }

  get asksStrength() {
    return this.levels.length > 0;
  }

  level(strength) {
    const value = strength || DEFAULT_STRENGTH;
    return this.levels.find((level) => level.value === value) ?? { value, label: value.replaceAll("_", " "), short: value };
  }

  control(name) {
    return this.form.elements.namedItem(name);
  }

  // All items that want a place, the edit among them.
  get items() {
    return this.editOf ? [...this.letters, EDIT] : this.letters;
  }

  reread() {
    this.editOf = this.control("edit_of")?.value ?? "";
    this.allBad = this.control("all_bad")?.checked ?? false;
    const ranks = this.items.map((item) => [item, Number(this.control(`rank_${item}`)?.value)]).filter(([, rank]) => rank);
    const places = [...new Set(ranks.map(([, rank]) => rank))].sort((a, b) => a - b);
    const groups = places.map((place) => ranks.filter(([, rank]) => rank === place).map(([item]) => item));
    // What a draft has as the default may as well be untouched; in a correction it was said.
    const isDraft = "draftUrl" in this.form.dataset;
    const said = (value) => (isDraft && value === DEFAULT_STRENGTH ? UNCHOSEN : value);
    const strengths = groups.slice(1).map((_, i) => said(this.control(`strength_${i + 1}`)?.value || UNCHOSEN));
    this.ranking = settled({ groups, strengths }, this.editOf);
    this.marks = this.marksNow();
  }

  write() {
    for (const item of [...this.letters, EDIT]) {
      const control = this.control(`rank_${item}`);
      if (control) control.value = this.placeOf(item) || "";
    }
    for (let gap = 1; this.control(`strength_${gap}`); gap++) {
      this.control(`strength_${gap}`).value = this.ranking.strengths[gap - 1] || DEFAULT_STRENGTH;
    }
    if (this.control("edit_of")) this.control("edit_of").value = this.editOf;
    if (this.control("all_bad")) this.control("all_bad").checked = this.allBad;
  }

  // What is marked, as the controls have it: each box or button that is on, by name and value.
  marksNow() {
    return [...this.form.querySelectorAll("[data-mark] input:checked")].map((input) => `${input.name}=${input.value}`);
  }

  writeMarks() {
    const on = new Set(this.marks);
    for (const input of this.form.querySelectorAll("[data-mark] input")) input.checked = on.has(`${input.name}=${input.value}`);
  }

  placeOf(item) {
    return placeOf(this.ranking, item);
  }

  // How many times nobody has said how much better.
  get unchosen() {
    return this.asksStrength ? this.ranking.strengths.filter((strength) => strength === UNCHOSEN).length : 0;
  }

  get unranked() {
    return this.items.filter((item) => !this.placeOf(item));
  }

  // Where all are bad, the server ties what has no place below what has one.
  get isRanked() {
    return this.allBad || this.unranked.length === 0;
  }

  // Of two completions one button says everything, as long as there is no third thing to place.
  get isQuick() {
    return this.letters.length === 2 && !this.editOf;
  }

  // "Both bad" is then one of the choices, as in Arena, and not something beside them.
  get badIsAChoice() {
    return this.isQuick && !this.asksStrength && Boolean(this.control("all_bad"));
  }

  nameOf(item) {
    return item === EDIT ? `${this.editOf}+` : item;
  }

  // Changes

  change(part) {
    this.past.push(this.snapshot());
    this.future = [];
    this.take(part);
  }

  take({ ranking = this.ranking, allBad = this.allBad, editOf = this.editOf, marks = this.marks }) {
    this.ranking = settled(ranking, editOf);
    this.marks = marks;
    this.allBad = allBad;
    this.editOf = editOf;
    this.write();
  }

  snapshot() {
    return { ranking: clone(this.ranking), allBad: this.allBad, editOf: this.editOf, marks: this.marks };
  }

  undo() {
    return this.step(this.past, this.future);
  }

  redo() {
    return this.step(this.future, this.past);
  }

  step(from, to) {
    if (!from.length) return false;
    to.push(this.snapshot());
    this.take(from.pop());
    this.writeMarks();
    return true;
  }

  // "A, then B and C": for who hears the page, and for notices.
  words() {
    const { groups, strengths } = this.ranking;
    const parts = groups.map((group, i) => {
      const name = group.map((item) => this.nameOf(item)).join(" = ");
      return name + (i < strengths.length ? (this.asksStrength ? ` ${this.level(strengths[i]).short} >` : " >") : "");
    });
    return [parts.join(" "), this.allBad ? "all are bad" : ""].filter(Boolean).join(", ");
  }
}
