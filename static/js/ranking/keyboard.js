// What the keys mean. Letters and digits pick completions; everything else keeps off the letters a to i, or comes with
// Shift: where the page shows no completion of that letter, Shift may be left out.

export function onKey(page, event) {
  if (event.defaultPrevented || event.isComposing || page.form.inert || document.querySelector("dialog[open]")) return;
  const focus = document.activeElement;
  const isText = focus?.matches("textarea, [contenteditable], input:not([type=radio], [type=checkbox])");
  if (event.key !== "Enter" && !event.repeat) page.calmUntil = 0; // somebody is at work on this task
  if (event.ctrlKey || event.metaKey || event.altKey) {
    if (event.key !== "Enter" || event.altKey) return;
    event.preventDefault();
    // In the words of a flag or of a skip: that is what they are for.
    return isText && focus.form && focus.form !== page.form ? focus.form.requestSubmit() : page.submit();
  }
  if (event.key === "Escape") return escape(page, event, focus);
  if (isText) return;
  // On a list of choices, letters and arrows choose; on a link or a menu, Enter opens it.
  if (focus?.matches("select") && event.key !== "Enter") return;
  if (focus?.matches("a, summary, .menu-item, [data-submit], [data-rest], [data-fold]") && [" ", "Enter"].includes(event.key)) return;
  const action = keyAction(page, event, focus);
  if (!action) return;
  event.preventDefault();
  action();
}

function escape(page, event, focus) {
  page.layout.closeMore();
  if (focus?.name === "edit_text") page.editor.close();
  else if (focus?.closest("[data-mark]")) page.marks.focusCard(focus.closest("[data-letter]"));
  // site.js has closed a menu and is on its name by now, where Enter would open it again.
  else if (focus?.matches("input, textarea, .rank-bar summary")) page.rest();
  else if (page.isCorrection) {
    event.preventDefault(); // or it would close at once what asks whether to leave
    document.querySelector("[data-forward]")?.click();
  }
}

function keyAction(page, event, focus) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const group = focus?.closest?.("[data-mark]");
  if (group && /^\d$/.test(key)) return () => page.marks.digit(key, group);
  const { letters } = page.answer;
  if (letters[Number(key) - 1]) return () => page.picking.pick(letters[Number(key) - 1]);
  if (/^[a-i]$/.test(key) && !event.shiftKey && letters.includes(key.toUpperCase())) return () => page.picking.pick(key.toUpperCase());
  return rankingKey(page, event, key, focus) ?? pageKey(page, event, key);
}

function rankingKey(page, event, key, focus) {
  const onMark = focus?.matches("input[type=radio]"); // there the arrows choose
  switch (key) {
    case "=": return () => page.picking.armTie();
    case "0": return () => page.picking.toggleAllBad();
    case "Backspace": return () => (event.shiftKey ? page.redo() : page.undo());
    case "s": return () => page.picking.cycleStrength(event.shiftKey ? -1 : 1);
    case "ArrowLeft": return onMark ? null : () => page.picking.markGap(-1);
    case "ArrowRight": return onMark ? null : () => page.picking.markGap(1);
    case "j": return () => page.marks.step(1);
    case "k": return () => page.marks.step(-1);
    case "m": return () => page.marks.start();
    case "y": return () => page.marks.markSafety("safe");
    case "u": return () => page.marks.markSafety("unsafe");
    case "e": return () => page.editor.openSomewhere();
    case "Enter":
      if (event.repeat) return () => {};
      // On a half-done answer Enter presses the button that has the focus, as everywhere.
      if (!page.isReady && focus?.matches("button:not([data-missing])")) return null;
      return () => page.submit();
    default: return null;
  }
}

function pageKey(page, event, key) {
  const press = (selector) => () => document.querySelector(selector)?.click();
  switch (key) {
    case "n": return () => page.layout.openNote();
    case "x": return () => page.layout.openMenu("[data-skip-menu]");
    case "!": return () => page.layout.openMenu("[data-flag-menu]");
    case "r": return press("[data-raw]");
    case "d": return press("[data-compare]");
    case "g": return () => page.layout.toggleGuidelines();
    case "l": return press("[data-columns]");
    case "[": return press("[data-previous]");
    case "]": return press("[data-forward]");
    case "?": return () => document.getElementById("keys")?.showModal();
    default: return null;
  }
}
