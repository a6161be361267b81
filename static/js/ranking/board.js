// The board: what is ranked so far, as chips in a row. With two completions it is a scale (scale.js).
// It draws the page's answer; what a click or a drop means is the page's to know.

import { element } from "./elements.js";
import { UNCHOSEN, ordinal } from "./rankings.js";
import { drawScale } from "./scale.js";
import { isNarrow, isTouched } from "./screen.js";

const SHORTER = { significantly: "signif.", negligibly: "neglig." }; // for a phone

export class Board {
  constructor(page, holder) {
    this.page = page;
    this.element = holder;
    holder.tabIndex = -1; // where "To do" leads
  }

  get answer() {
    return this.page.answer;
  }

  // Drawn anew on each change: whatever had the focus gets it back.
  draw() {
    const focused = this.element.contains(document.activeElement) ? { ...document.activeElement.dataset } : {};
    const scale = this.answer.isQuick;
    this.element.classList.toggle("is-scale", scale);
    this.element.replaceChildren(...(scale ? [drawScale(this.page)] : this.row()));
    for (const name of ["chip", "gap", "choice"]) {
      if (name in focused) this.element.querySelector(`[data-${name}="${focused[name]}"]`)?.focus();
    }
  }

  row() {
    const { groups } = this.answer.ranking;
    const parts = [this.gap(0)];
    groups.forEach((group, i) => {
      const chips = group.flatMap((item, j) => (j ? [element("span", { class: "equals" }, "="), this.chip(item)] : [this.chip(item)]));
      parts.push(element("div", { class: "group", "data-drop": `group:${i}` }, ...chips), this.gap(i + 1));
    });
    if (this.page.picking.tieNext) parts.push(element("span", { class: "tying" }, "= tie with…"));
    if (!groups.length) {
      const how = isTouched() ? "Tap the letters, best first." : `Best first: press 1–${this.answer.letters.length}, click the letters, or drag them.`;
      parts.push(element("span", { class: "hint" }, how));
    }
    const tray = element("div", { class: "tray", "data-drop": "tray:0" }, ...this.answer.unranked.map((item) => this.chip(item)));
    return [...parts, tray];
  }

  chip(item) {
    const place = this.answer.placeOf(item);
    const name = this.answer.nameOf(item);
    return element("button", {
      type: "button", class: place ? "chip is-ranked" : "chip", "data-chip": item,
      "aria-label": `${name}, ${place ? `${ordinal(place)}, take off` : "put on the next rank"}`,
    }, name);
  }

  gap(index) {
    const { groups, strengths } = this.answer.ranking;
    const holder = element("div", { class: "gap", "data-drop": `gap:${index}` });
    if (index === 0 || index === groups.length) return holder;
    if (!this.answer.asksStrength) {
      holder.append(element("span", { class: "over" }, ">"));
      return holder;
    }
    const gap = index - 1;
    const isOpen = strengths[gap] === UNCHOSEN;
    const select = element("select", {
      "data-gap": gap, "aria-label": `How much better rank ${index} is than rank ${index + 1}`,
      class: isOpen ? "is-assumed" : null, title: isOpen ? "Not chosen yet: better counts" : null,
    });
    const shown = ({ short }) => (isNarrow() && SHORTER[short]) || short;
    if (isOpen) select.append(new Option(`${shown(this.answer.level(UNCHOSEN))}?`, UNCHOSEN, true, true));
    for (const level of this.answer.levels) select.append(new Option(shown(level), level.value, false, level.value === strengths[gap]));
    holder.classList.toggle("is-marked", gap === this.page.picking.markedGap);
    holder.append(select);
    return holder;
  }
}
