// What picking means: the next rank, a tie, how much better, all bad; by a key, a click or a drop alike.

import { DEFAULT_STRENGTH, EDIT, UNCHOSEN, clone, moved, without } from "./rankings.js";

export class Picking {
  constructor(page) {
    this.page = page;
    this.tieNext = false; // the next pick ties with the last one
    this.marked = null; // the gap that s and the arrows act on; null: the last one
  }

  // After a change: what was armed is spent, and a gap may be gone.
  settle() {
    this.tieNext = false;
    if (this.marked !== null && this.marked >= this.page.answer.ranking.strengths.length) this.marked = null;
  }

  choose({ groups, strengths, allBad }) {
    this.page.change({ ranking: { groups, strengths }, ...(this.page.answer.badIsAChoice ? { allBad } : {}) });
  }

  pick(item, { tie = this.tieNext } = {}) {
    const { answer } = this.page;
    const { ranking } = answer;
    if (item === EDIT && !answer.placeOf(EDIT)) return this.pick(answer.editOf, { tie }); // it follows what it edits
    if (item === EDIT) return this.page.editor.open(answer.editOf);
    const last = ranking.groups.length - 1;
    if (answer.placeOf(item) && !tie && !answer.isQuick) return this.page.change({ ranking: without(ranking, item) });
    if (tie && answer.allowTies && last >= 0 && !answer.isQuick) {
      if (!ranking.groups[last].includes(item)) this.page.change({ ranking: moved(ranking, item, { kind: "group", index: last }) });
      return;
    }
    if (!answer.isQuick) return this.page.change({ ranking: moved(ranking, item, { kind: "gap", index: last + 1 }) });
    this.pickOfTwo(item);
  }

  // With two, the other one follows by itself; a tie ties them both; the same one again takes both off.
  pickOfTwo(letter) {
    const { ranking, letters } = this.page.answer;
    const isOn = ranking.groups.length === 2 && ranking.groups[0][0] === letter;
    const other = letters.find((each) => each !== letter);
    const strengths = [ranking.groups.length === 2 ? ranking.strengths[0] : UNCHOSEN];
    if (isOn) return this.choose({ groups: [], strengths: [], allBad: false });
    this.choose({ groups: [[letter], [other]], strengths, allBad: false });
  }

  armTie() {
    const { answer } = this.page;
    if (!answer.allowTies) return this.page.say("This project has no ties.");
    if (answer.isQuick) return this.choose({ groups: [[...answer.letters]], strengths: [], allBad: false });
    if (!answer.ranking.groups.length) return this.page.say("Pick one first, then tie the next with it.");
    this.tieNext = !this.tieNext;
    this.page.render();
    const last = answer.ranking.groups.at(-1).map((item) => answer.nameOf(item));
    this.page.say(this.tieNext ? `The next pick ties with ${last.join(" and ")}.` : "No tie.");
  }

  toggleAllBad() {
    const { answer } = this.page;
    if (!answer.control("all_bad")) return this.page.say('This project does not offer "all are bad".');
    const allBad = !answer.allBad;
    if (answer.badIsAChoice && allBad) return this.choose({ groups: [[...answer.letters]], strengths: [], allBad });
    this.page.change({ allBad });
  }

  setStrength(gap, strength) {
    this.marked = gap;
    const ranking = clone(this.page.answer.ranking);
    ranking.strengths[gap] = strength;
    this.page.change({ ranking });
  }

  get markedGap() {
    return this.marked ?? this.page.answer.ranking.strengths.length - 1;
  }

  cycleStrength(step) {
    const { answer } = this.page;
    if (!answer.asksStrength) return this.page.say("This project asks for no strength.");
    const gap = this.markedGap;
    if (gap < 0) return this.page.say("Rank two first; s then says how much better.");
    const values = answer.levels.map((level) => level.value);
    const now = values.indexOf(answer.ranking.strengths[gap] || DEFAULT_STRENGTH);
    this.setStrength(gap, values[(now + step + values.length) % values.length]);
  }

  markGap(step) {
    const { answer } = this.page;
    const gaps = answer.ranking.strengths.length;
    if (!answer.asksStrength || !gaps) return;
    this.marked = Math.min(Math.max(this.markedGap + step, 0), gaps - 1);
    this.page.render();
    this.page.say(`Gap ${this.marked + 1}: ${answer.level(answer.ranking.strengths[this.marked]).label}.`);
  }

  drop(item, place) {
    const [kind, index] = place.split(":");
    const { answer } = this.page;
    if (item === EDIT && kind === "tray") return this.page.render();
    const isTie = kind === "group" && !answer.ranking.groups[Number(index)].every((other) => other === item);
    if (isTie && !answer.allowTies) {
      this.page.render();
      return this.page.say("This project has no ties.");
    }
    const ranking = moved(answer.ranking, item, { kind, index: Number(index) });
    this.page.change({ ranking });
    const isPutBack = JSON.stringify(answer.ranking) !== JSON.stringify(ranking);
    if (answer.editOf && isPutBack) this.page.say(`Your better answer ranks above ${answer.editOf}, which it edits.`);
  }
}
