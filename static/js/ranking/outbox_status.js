// What the page says of the outbox: how many answers wait and why, and each that was refused, with its reason.

import { element } from "./elements.js";

const WHY = {
  "": "on the way",
  connection: "for the connection; nothing is lost, and you can go on",
  "signed-out": "until you are signed in again as before",
  refused: "because the server did not let it in; signing in again may help",
};

export class OutboxStatus {
  constructor(outbox, { line, list, signIn }) {
    this.outbox = outbox;
    this.line = line;
    this.list = list;
    this.signIn = signIn;
    this.drawn = "";
    outbox.addEventListener("change", () => this.draw());
    this.draw();
  }

  draw() {
    const { waiting, refused, trouble } = this.outbox;
    // What leaves at once needs no word: the line is for what does not get through.
    this.line.hidden = !waiting.length || !trouble;
    if (!this.line.hidden) this.drawWaiting(waiting.length, trouble);
    const ids = refused.map((entry) => entry.id).join();
    if (ids === this.drawn) return;
    this.drawn = ids;
    this.list.replaceChildren(...refused.map((entry) => this.notice(entry)));
  }

  drawWaiting(count, trouble) {
    const isHeld = document.querySelector("form[data-ranking].is-sent"); // nothing lay ready: the next one comes then
    const why = isHeld && trouble === "connection" ? "for the connection; you go on when it is back" : WHY[trouble];
    const text = `${count} ${count === 1 ? "answer waits" : "answers wait"} ${why}. `;
    if (this.line.firstChild?.textContent === text) return;
    const retry = element("button", { type: "button", class: "btn btn-quiet" }, "Send now");
    retry.addEventListener("click", () => this.outbox.flush());
    const signIn = ["signed-out", "refused"].includes(trouble) ? [element("a", { href: this.signIn, target: "_blank" }, "Sign in"), " "] : [];
    this.line.replaceChildren(element("span", {}, text), ...signIn, retry);
  }

  notice(entry) {
    const forget = element("button", { type: "button", class: "btn btn-quiet" }, "Dismiss");
    forget.addEventListener("click", () => this.outbox.drop(entry.id));
    const mine = Object.fromEntries(entry.fields);
    const words = [entry.words, mine.rationale, mine.edit_text].filter(Boolean).join("\n\n");
    const kept = element("details", {}, element("summary", {}, "What you answered"), element("pre", { class: "plain-text" }, words));
    // Whoever lost the lease cannot answer this one any more; most else can be put right.
    const open = entry.canOpen ? [element("a", { class: "btn", href: entry.link }, "Open that answer")] : [];
    return element("div", { class: "notice notice-error stack tight", role: "alert" },
      element("p", {}, `An answer was not taken. ${entry.refused}`), ...(words ? [kept] : []),
      element("div", { class: "row" }, ...open, forget));
  }
}
