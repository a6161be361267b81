// The words that differ between two completions, in a dialog. The server makes the difference, and its part brings the
// lists to choose two others.

export class Comparing {
  constructor(dialog) {
    this.dialog = dialog;
    this.body = dialog.querySelector("[data-compare-body]");
  }

  async open(page) {
    const { letters } = page.answer;
    const current = page.marks.current?.dataset.letter;
    const second = current && current !== letters[0] ? current : letters[1];
    this.show("One moment…");
    this.dialog.showModal();
    try {
      const address = `${page.form.dataset.diffUrl}?a=${letters[0]}&b=${second}`;
      const response = await fetch(address, { headers: { "HX-Request": "true" } });
      if (!response.ok) return this.show(`The server answered with an error (${response.status}). Close this and try again.`);
      this.body.innerHTML = await response.text();
      window.htmx.process(this.body);
      this.body.querySelector("select")?.focus();
    } catch {
      this.show("The server cannot be reached. Close this and try again.");
    }
  }

  show(text) {
    this.body.textContent = text;
  }
}
