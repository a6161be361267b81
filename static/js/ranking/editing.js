// The better answer that an annotator may write: one textarea that moves into the card of what it edits.

export class Editor {
  constructor(page, holder) {
    this.page = page;
    this.element = holder;
    this.text = page.answer.control("edit_text");
    if (!holder) return;
    holder.hidden = true;
    const on = (name, handler) => holder.querySelector(name).addEventListener("click", handler, { signal: page.stop.signal });
    on("[data-edit-done]", () => this.close());
    on("[data-edit-remove]", () => this.remove());
    if (page.answer.editOf) this.moveTo(page.answer.editOf);
  }

  rawOf(letter) {
    return this.page.form.querySelector(`pre.raw[data-completion="${letter}"]`).textContent;
  }

  // What is invisible in a text is spelt out in the raw one, but belongs to what is edited.
  originalOf(letter) {
    const original = this.cardOf(letter).querySelector("script[type='application/json']");
    return original ? JSON.parse(original.textContent) : this.rawOf(letter);
  }

  isTooLong(letter) {
    return this.page.form.querySelector(`[data-edit="${letter}"]`).matches("[data-too-long]");
  }

  cardOf(letter) {
    return this.page.cards.find((card) => card.dataset.letter === letter);
  }

  moveTo(letter) {
    this.cardOf(letter).querySelector("[data-editor-place]").append(this.element);
    this.element.querySelector("[data-edit-name]").textContent = `Your better answer, from ${letter}`;
  }

  open(letter) {
    const { answer } = this.page;
    if (!this.element) return this.page.say("This project takes no edits.");
    if (answer.editOf && answer.editOf !== letter) {
      this.page.say(`You are writing a better ${answer.editOf} already. Take that away first, to edit ${letter}.`);
      letter = answer.editOf;
    }
    if (!answer.editOf) {
      if (this.isTooLong(letter)) return this.refuse(`${letter} is too long to be edited here: not all of it is in this page.`);
      this.text.value = this.originalOf(letter);
      this.page.change({ editOf: letter });
    }
    this.moveTo(letter);
    this.element.hidden = false;
    this.render();
    this.text.focus();
    this.text.setSelectionRange(0, 0);
    this.element.scrollIntoView({ block: "nearest" });
  }

  refuse(text) {
    this.page.say(text);
    this.page.fail(text);
  }

  // For a key: the card that has the focus, else the one that is edited already, else the best one so far.
  openSomewhere() {
    const { answer, marks, cards } = this.page;
    const best = answer.ranking.groups[0]?.find((item) => answer.letters.includes(item));
    this.open(answer.editOf || (marks.current ?? this.cardOf(best) ?? cards[0]).dataset.letter);
  }

  close() {
    this.element.hidden = true;
    const { editOf } = this.page.answer;
    if (editOf && this.isUntouched(editOf)) this.page.change({ editOf: "" }); // opened, and left as it was
    (editOf ? this.cardOf(editOf) : this.page.cards[0]).focus();
  }

  // The words stay in the box, so that undo brings them back.
  remove() {
    const { editOf } = this.page.answer;
    this.element.hidden = true;
    this.page.change({ editOf: "" });
    this.cardOf(editOf)?.focus();
  }

  isUntouched(letter) {
    return words(this.text.value) === words(this.originalOf(letter));
  }

  get problem() {
    const { editOf } = this.page.answer;
    if (!editOf || !this.element) return "";
    if (!this.text.value.trim()) return `Write your better ${editOf}`;
    return this.isUntouched(editOf) ? `Change your better ${editOf}` : "";
  }

  render() {
    if (!this.element) return;
    const { editOf } = this.page.answer;
    this.text.disabled = !editOf; // what is disabled is not sent
    if (!editOf) this.element.hidden = true;
  }
}

const words = (text) => text.split(/\s+/).filter(Boolean).join(" ");
