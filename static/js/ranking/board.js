// The board: what is ranked so far, as chips in a row (with two completions, as a scale), which can be dragged.
// It draws the page's ranking and says what was dropped where; what that means is the page's to know.

import { DEFAULT_STRENGTH, SHORT, STRENGTHS, clone, ordinal } from "./rankings.js";

const DRAG_AFTER_PIXELS = 6;

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export class Board {
  constructor(page, holder, signal) {
    this.page = page;
    this.element = holder;
    this.form = page.form;
    this.signal = signal;
    this.justDragged = false;
    this.form.addEventListener("pointerdown", (event) => this.onPointerDown(event), { signal });
  }

  draw() {
    const focused = document.activeElement?.dataset?.chip;
    const focusedGap = document.activeElement?.dataset?.gap;
    this.element.replaceChildren(...(this.page.isQuick ? [this.scale()] : this.row()));
    if (focused) this.element.querySelector(`[data-chip="${focused}"]`)?.focus();
    if (focusedGap) this.element.querySelector(`[data-gap="${focusedGap}"]`)?.focus();
  }

  row() {
    const parts = [this.gap(0)];
    this.page.ranking.groups.forEach((group, i) => {
      const chips = group.flatMap((letter, j) => (j ? [element("span", { class: "equals" }, "="), this.chip(letter)] : [this.chip(letter)]));
      parts.push(element("div", { class: "group", "data-drop": `group:${i}` }, ...chips), this.gap(i + 1));
    });
    if (this.page.tieNext) parts.push(element("span", { class: "tying" }, "= tie with…"));
    if (!this.page.ranking.groups.length) {
      const keys = `1–${this.page.letters.length}`;
      parts.push(element("span", { class: "hint" }, `Best first: press ${keys}, click the letters, or drag them.`));
    }
    const tray = element("div", { class: "tray", "data-drop": "tray:0" }, ...this.page.unranked.map((letter) => this.chip(letter)));
    return [...parts, tray];
  }

  chip(letter) {
    const place = this.page.placeOf(letter);
    return element("button", {
      type: "button", class: place ? "chip is-ranked" : "chip", "data-chip": letter,
      "aria-label": `${letter}, ${place ? `${ordinal(place)}, take off` : "put on the next rank"}`,
    }, letter);
  }

  gap(index) {
    const inner = index > 0 && index < this.page.ranking.groups.length;
    const holder = element("div", { class: "gap", "data-drop": `gap:${index}` });
    if (!inner) return holder;
    if (!this.page.askStrength) {
      holder.append(element("span", { class: "over" }, ">"));
      return holder;
    }
    const gap = index - 1;
    const select = element("select", { "data-gap": gap, "aria-label": `How much better rank ${index} is than rank ${index + 1}` });
    for (const strength of STRENGTHS) {
      select.append(new Option(`> ${SHORT[strength]}`, strength, false, strength === this.page.ranking.strengths[gap]));
    }
    holder.classList.toggle("is-marked", gap === this.page.markedGap);
    holder.append(select);
    return holder;
  }

  scale() {
    const [a, b] = this.page.letters;
    const levels = this.page.askStrength ? STRENGTHS : [DEFAULT_STRENGTH];
    const choices = [
      ...levels.map((strength) => ({ groups: [[a], [b]], strengths: [strength] })),
      ...(this.page.allowTies ? [{ groups: [[a, b]], strengths: [] }] : []),
      ...[...levels].reverse().map((strength) => ({ groups: [[b], [a]], strengths: [strength] })),
    ];
    const now = JSON.stringify({ ...this.page.ranking, groups: this.page.ranking.groups.map((group) => [...group].sort()) });
    const holder = element("div", { class: "scale" });
    holder.classList.toggle("has-strength", this.page.askStrength);
    holder.classList.toggle("has-tie", this.page.allowTies);
    for (const choice of choices) {
      const isTie = choice.groups.length === 1;
      const name = isTie ? "=" : choice.groups[0][0];
      const words = isTie ? "tie" : SHORT[choice.strengths[0]];
      const button = element("button", {
        type: "button", "aria-pressed": String(JSON.stringify(choice) === now),
        "aria-label": isTie ? "Tie" : `${name} is ${choice.strengths[0].replace("_", " ")}`,
      }, name, element("span", {}, words));
      button.addEventListener("click", () => this.page.change(clone(choice)));
      holder.append(button);
    }
    return holder;
  }

  // Dragging by pointer events, because the browser's own drag and drop does not know fingers.

  onPointerDown(event) {
    const chip = event.target.closest("[data-chip]");
    if (!chip || event.button !== 0) return;
    const letter = chip.dataset.chip;
    const start = { x: event.clientX, y: event.clientY };
    const drag = new AbortController();
    let ghost = null;
    let over = null;

    const move = (moved) => {
      const distance = Math.hypot(moved.clientX - start.x, moved.clientY - start.y);
      if (!ghost && distance < DRAG_AFTER_PIXELS) return;
      ghost ??= this.startDrag(chip);
      ghost.style.transform = `translate(${moved.clientX - 20}px, ${moved.clientY - 20}px)`;
      const target = document.elementFromPoint(moved.clientX, moved.clientY)?.closest("[data-drop]") ?? null;
      if (target === over) return;
      over?.classList.remove("drop-here");
      target?.classList.add("drop-here");
      over = target;
    };
    const end = (ended) => {
      drag.abort();
      if (!ghost) return;
      ghost.remove();
      this.form.classList.remove("is-dragging");
      // The click that the browser sends after this belongs to the drag.
      this.justDragged = true;
      setTimeout(() => (this.justDragged = false), 0);
      const isDrop = ended.type === "pointerup" && over && this.element.contains(over);
      if (isDrop) this.page.drop(letter, over.dataset.drop);
      else this.page.render();
    };
    const options = { signal: drag.signal };
    window.addEventListener("pointermove", move, options);
    window.addEventListener("pointerup", end, options);
    window.addEventListener("pointercancel", end, options);
    this.signal.addEventListener("abort", () => drag.abort(), { once: true });
  }

  startDrag(chip) {
    const ghost = chip.cloneNode(true);
    ghost.classList.add("chip-ghost");
    ghost.removeAttribute("data-chip");
    ghost.setAttribute("aria-hidden", "true");
    document.body.append(ghost);
    chip.classList.add("is-dragged");
    this.form.classList.add("is-dragging");
    return ghost;
  }
}
