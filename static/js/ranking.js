// The ranking page. The form's own selects are the truth that is sent; this builds the board that fills them, by mouse,
// finger or keyboard, keeps a draft and the lease, and measures the time for which the page was looked at.

const STRENGTHS = ["significantly_better", "better", "slightly_better", "negligibly_better"];
const SHORT = { significantly_better: "significantly", better: "better", slightly_better: "slightly", negligibly_better: "negligibly" };
const DEFAULT_STRENGTH = "better";
const DRAFT_AFTER_MS = 700;
const DRAG_AFTER_PIXELS = 6;
const ORDINALS = ["1st", "2nd", "3rd"];

const ordinal = (n) => ORDINALS[n - 1] ?? `${n}th`;
const clone = (value) => structuredClone(value);

// Rankings: groups of letters, best first, and one strength between each two neighbours. No DOM here.

function without(ranking, letter) {
  const groups = ranking.groups.map((group) => group.filter((other) => other !== letter));
  return dropEmpty({ groups, strengths: [...ranking.strengths] });
}

function dropEmpty({ groups, strengths }) {
  for (let i = groups.length - 1; i >= 0; i--) {
    if (groups[i].length) continue;
    groups.splice(i, 1);
    strengths.splice(Math.min(i, strengths.length - 1), 1);
  }
  return { groups, strengths: strengths.slice(0, Math.max(groups.length - 1, 0)) };
}

// Move a letter into a group, or into the gap before group `index` (the gap after the last one is `groups.length`).
function moved(ranking, letter, { kind, index }) {
  if (kind === "tray") return without(ranking, letter);
  const groups = ranking.groups.map((group) => group.filter((other) => other !== letter));
  const strengths = [...ranking.strengths];
  if (kind === "group") {
    groups[index].push(letter);
  } else {
    groups.splice(index, 0, [letter]);
    if (groups.length > 1) strengths.splice(Math.min(index, strengths.length), 0, DEFAULT_STRENGTH);
  }
  return dropEmpty({ groups, strengths });
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

class RankingPage {
  constructor(form) {
    this.form = form;
    this.letters = [...form.querySelectorAll("[data-letter]")].map((card) => card.dataset.letter);
    this.allowTies = "allowTies" in form.dataset;
    this.askStrength = "askStrength" in form.dataset;
    this.board = form.querySelector("[data-board]");
    this.submitButton = form.querySelector("[data-submit]");
    this.history = [];
    this.tieNext = false;
    this.marked = null; // the gap that s and the arrows act on; null: the last one
    this.stop = new AbortController();
    this.lastActivity = Date.now();
    this.ranking = this.read();
    form.noValidate = true;
    form.classList.add("is-enhanced");
    this.listen();
    this.render();
    this.capLongAnswers();
    this.keepLease();
    this.measureTime();
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
    this.saveDraftSoon();
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
    const focused = document.activeElement?.dataset?.chip;
    const focusedGap = document.activeElement?.dataset?.gap;
    this.board.replaceChildren(...(this.isQuick ? [this.scale()] : this.row()));
    for (const card of this.form.querySelectorAll("[data-letter]")) this.renderCard(card);
    this.submitButton.disabled = !this.isComplete;
    this.form.querySelector("[data-undo]").disabled = !this.history.length;
    if (focused) this.board.querySelector(`[data-chip="${focused}"]`)?.focus();
    if (focusedGap) this.board.querySelector(`[data-gap="${focusedGap}"]`)?.focus();
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

  row() {
    const parts = [this.gap(0)];
    this.ranking.groups.forEach((group, i) => {
      const chips = group.flatMap((letter, j) => (j ? [element("span", { class: "equals" }, "="), this.chip(letter)] : [this.chip(letter)]));
      parts.push(element("div", { class: "group", "data-drop": `group:${i}` }, ...chips), this.gap(i + 1));
    });
    if (this.tieNext) parts.push(element("span", { class: "tying" }, "= tie with…"));
    if (!this.ranking.groups.length) {
      const keys = `1–${this.letters.length}`;
      parts.push(element("span", { class: "hint" }, `Best first: press ${keys}, click the letters, or drag them.`));
    }
    const tray = element("div", { class: "tray", "data-drop": "tray:0" }, ...this.unranked.map((letter) => this.chip(letter)));
    return [...parts, tray];
  }

  chip(letter) {
    const place = this.placeOf(letter);
    return element("button", {
      type: "button", class: place ? "chip is-ranked" : "chip", "data-chip": letter,
      "aria-label": `${letter}, ${place ? `${ordinal(place)}, take off` : "put on the next rank"}`,
    }, letter);
  }

  gap(index) {
    const inner = index > 0 && index < this.ranking.groups.length;
    const holder = element("div", { class: "gap", "data-drop": `gap:${index}` });
    if (!inner) return holder;
    if (!this.askStrength) {
      holder.append(element("span", { class: "over" }, ">"));
      return holder;
    }
    const gap = index - 1;
    const select = element("select", { "data-gap": gap, "aria-label": `How much better rank ${index} is than rank ${index + 1}` });
    for (const strength of STRENGTHS) {
      select.append(new Option(`> ${SHORT[strength]}`, strength, false, strength === this.ranking.strengths[gap]));
    }
    holder.classList.toggle("is-marked", gap === this.markedGap);
    holder.append(select);
    return holder;
  }

  scale() {
    const [a, b] = this.letters;
    const levels = this.askStrength ? STRENGTHS : [DEFAULT_STRENGTH];
    const choices = [
      ...levels.map((strength) => ({ groups: [[a], [b]], strengths: [strength] })),
      ...(this.allowTies ? [{ groups: [[a, b]], strengths: [] }] : []),
      ...[...levels].reverse().map((strength) => ({ groups: [[b], [a]], strengths: [strength] })),
    ];
    const now = JSON.stringify({ ...this.ranking, groups: this.ranking.groups.map((group) => [...group].sort()) });
    const holder = element("div", { class: "scale" });
    holder.classList.toggle("has-strength", this.askStrength);
    holder.classList.toggle("has-tie", this.allowTies);
    for (const choice of choices) {
      const isTie = choice.groups.length === 1;
      const name = isTie ? "=" : choice.groups[0][0];
      const words = isTie ? "tie" : SHORT[choice.strengths[0]];
      const button = element("button", {
        type: "button", "aria-pressed": String(JSON.stringify(choice) === now),
        "aria-label": isTie ? "Tie" : `${name} is ${choice.strengths[0].replace("_", " ")}`,
      }, name, element("span", {}, words));
      button.addEventListener("click", () => this.change(clone(choice)));
      holder.append(button);
    }
    return holder;
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
    this.isUnsaved = true;
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
    on(this.form, "input", (event) => event.target.name === "rationale" && this.saveDraftSoon());
    on(this.form, "submit", () => this.beforeSubmit());
    on(this.form, "pointerdown", (event) => this.onPointerDown(event));
    on(document, "keydown", (event) => this.onKey(event));
    for (const type of ["pointerdown", "keydown", "scroll", "pointermove"]) on(document, type, () => (this.lastActivity = Date.now()));
    on(document, "visibilitychange", () => document.hidden && this.saveDraftNow());
    on(window, "pagehide", () => this.saveDraftNow());
    on(this.form, "htmx:beforeRequest", () => this.fail(""));
    on(this.form, "htmx:sendError", () => this.fail("The server cannot be reached. Your answer is still here: press Submit to try again."));
    on(this.form, "htmx:responseError", (event) => this.fail(this.refusal(event.detail.xhr.status)));
    on(this.form, "htmx:afterRequest", () => (this.submitButton.disabled = !this.isComplete));
  }

  // The answer itself goes out now: a draft behind it would only be refused.
  beforeSubmit() {
    clearTimeout(this.draftTimer);
    this.isUnsaved = false;
    this.freshToken();
    this.writeTime();
  }

  refusal(status) {
    if (status === 401 || status === 403) {
      return "You are signed out. Sign in in another tab, then press Submit here again: your answer is still here.";
    }
    return `The server answered with an error (${status}). Your answer is still here: press Submit to try again.`;
  }

  onClick(event) {
    const target = event.target.closest("[data-pick], [data-tie], [data-chip], [data-undo], [data-more]");
    if (!target || this.justDragged) return;
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
      const isDrop = ended.type === "pointerup" && over && this.board.contains(over);
      if (isDrop) this.drop(letter, over.dataset.drop);
      else this.render();
    };
    const options = { signal: drag.signal };
    window.addEventListener("pointermove", move, options);
    window.addEventListener("pointerup", end, options);
    window.addEventListener("pointercancel", end, options);
    this.stop.signal.addEventListener("abort", () => drag.abort(), { once: true });
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

  drop(letter, place) {
    const [kind, index] = place.split(":");
    const isTie = kind === "group" && !this.ranking.groups[Number(index)].every((other) => other === letter);
    if (isTie && !this.allowTies) {
      this.render();
      return this.say("This project has no ties.");
    }
    this.change(moved(this.ranking, letter, { kind, index: Number(index) }));
  }

  // Draft, lease, time

  saveDraftSoon() {
    clearTimeout(this.draftTimer);
    this.isUnsaved = true;
    this.draftTimer = setTimeout(() => this.saveDraftNow(), DRAFT_AFTER_MS);
  }

  async saveDraftNow() {
    clearTimeout(this.draftTimer);
    if (!this.form.dataset.draftUrl || !this.isUnsaved) return;
    this.isUnsaved = false;
    if (!(await this.post(this.form.dataset.draftUrl))) this.isUnsaved = true;
  }

  keepLease() {
    if (!this.form.dataset.renewUrl) return;
    const leaseMs = Number(this.form.dataset.leaseSeconds) * 1000;
    const timer = setInterval(() => {
      // Held for whoever works here, not for a page that was forgotten open.
      if (Date.now() - this.lastActivity < leaseMs) this.post(this.form.dataset.renewUrl);
    }, leaseMs / 3);
    this.stop.signal.addEventListener("abort", () => clearInterval(timer));
  }

  // True when the server has it. A refusal (409) is shown: the slot went to somebody else.
  async post(address) {
    this.freshToken();
    try {
      const response = await fetch(address, {
        method: "POST", body: new FormData(this.form), keepalive: true, headers: { "HX-Request": "true" },
      });
      if (this.stop.signal.aborted) return true;
      if (response.status === 409) this.fail(await response.text());
      if (response.status === 401 || response.status === 403) this.fail(this.refusal(response.status));
      return response.ok || response.status === 409;
    } catch {
      return false; // tried again with the next change or renewal
    }
  }

  // Signing in again in another tab makes a new token; with it, what is on this page can still be sent.
  freshToken() {
    const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
    if (token) this.control("csrfmiddlewaretoken").value = token[1];
  }

  // Seconds for which this page was in sight, on top of what the draft says of earlier.
  measureTime() {
    this.seconds = Number(this.control("seconds_spent").value) || 0;
    this.lastTick = performance.now();
    const timer = setInterval(() => this.writeTime(), 1000);
    document.addEventListener("visibilitychange", () => this.writeTime({ wasHidden: !document.hidden }), { signal: this.stop.signal });
    this.stop.signal.addEventListener("abort", () => clearInterval(timer));
  }

  writeTime({ wasHidden = document.hidden } = {}) {
    const now = performance.now();
    if (!wasHidden) this.seconds += (now - this.lastTick) / 1000;
    this.lastTick = now;
    this.control("seconds_spent").value = this.seconds.toFixed(1);
  }

  end() {
    clearTimeout(this.draftTimer);
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
