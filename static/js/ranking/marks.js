// What is marked of each completion beside its rank: safety, aspects, defects. The controls are plain radio buttons and
// boxes; this moves between them by key and knows which are still unanswered.

export class Marks {
  constructor(page) {
    this.page = page;
    this.current = null; // the card that keys act on
    page.form.addEventListener("focusin", (event) => {
      this.current = event.target.closest("[data-letter]") ?? this.current;
    }, { signal: page.stop.signal });
  }

  groupsOf(card) {
    return [...card.querySelectorAll("[data-mark]")];
  }

  get groups() {
    return this.page.cards.flatMap((card) => this.groupsOf(card));
  }

  isOpen(group) {
    return group.dataset.mark !== "defects" && !group.querySelector("input:checked");
  }

  // One entry for each question, with the letters that lack it.
  missing() {
    const open = new Map();
    for (const group of this.groups.filter((each) => this.isOpen(each))) {
      const { name } = group.dataset;
      open.set(name, [...(open.get(name) ?? []), group]);
    }
    return [...open].map(([name, groups]) => ({
      text: groups.length === this.page.cards.length ? name : `${name} of ${groups.map((group) => this.letterOf(group)).join(", ")}`,
      focus: () => this.enter(groups[0]),
    }));
  }

  letterOf(group) {
    return group.closest("[data-letter]").dataset.letter;
  }

  // The controls have changed: that is a step which undo takes back like any other.
  changed() {
    this.page.change({ marks: this.page.answer.marksNow() });
  }

  // What undo has changed, if it was a mark, is brought into sight and named.
  nameOfChange(before, after) {
    const changed = [...before.filter((each) => !after.includes(each)), ...after.filter((each) => !before.includes(each))];
    const input = [...this.page.form.querySelectorAll("[data-mark] input")].find((each) => changed.includes(`${each.name}=${each.value}`));
    if (!input) return "";
    const group = input.closest("[data-mark]");
    group.scrollIntoView({ block: "nearest" });
    return `${this.letterOf(group)}, ${group.dataset.name}`;
  }

  enter(group) {
    this.page.layout.unfoldMarks(group);
    (group.querySelector("input:checked") ?? group.querySelector("input")).focus();
    group.scrollIntoView({ block: "nearest" });
  }

  // j and k: the next and the previous card.
  step(by) {
    const { cards } = this.page;
    const now = cards.indexOf(this.current);
    const next = cards[now < 0 ? (by > 0 ? 0 : cards.length - 1) : Math.min(Math.max(now + by, 0), cards.length - 1)];
    this.focusCard(next);
  }

  focusCard(card) {
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest" });
  }

  // y and u: safe or unsafe, then on to the next card that has no safety mark.
  markSafety(value) {
    const unmarked = (card) => card.querySelector('[data-mark="safety"]:not(:has(:checked))');
    const card = this.current ?? this.page.cards.find(unmarked) ?? this.page.cards[0];
    const input = card.querySelector(`[data-mark="safety"] input[value="${value}"]`);
    if (!input) return this.page.say("This project asks for no safety marks.");
    input.checked = true;
    this.changed();
    this.page.say(`${card.dataset.letter} is ${value}.`);
    const { cards } = this.page;
    const after = [...cards.slice(cards.indexOf(card)), ...cards].find(unmarked);
    this.focusCard(after ?? card);
  }

  // m: into the marks of the current card, or to the first one that is open.
  start() {
    const own = this.current ? this.groupsOf(this.current) : [];
    const group = own.find((each) => this.isOpen(each)) ?? this.groups.find((each) => this.isOpen(each)) ?? own[0] ?? this.groups[0];
    if (!group) return this.page.say("This project asks for no marks.");
    this.enter(group);
  }

  // A digit within the marks: the step with that number, then on to the next question; of defects, the box at that
  // place, of which 0 is the tenth.
  digit(digit, group) {
    const inputs = [...group.querySelectorAll("input")];
    const isPlain = inputs.every((input) => /^\d$/.test(input.value));
    const input = isPlain ? inputs.find((each) => each.value === digit) : inputs[(Number(digit) || 10) - 1];
    if (!input) return this.page.say(`There is no ${digit} here.`);
    input.checked = input.type === "checkbox" ? !input.checked : true;
    this.changed();
    const words = input.closest("label").textContent.trim();
    this.page.say(`${this.letterOf(group)}, ${group.dataset.name}: ${words}${input.checked ? "" : " taken off"}.`);
    if (input.type === "checkbox") return input.focus();
    const next = this.groups[this.groups.indexOf(group) + 1];
    if (next) this.enter(next);
    else input.focus();
  }
}
