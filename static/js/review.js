// Long texts start folded, as on the page that people rank on. Without a script they scroll.
(() => {
  const SLACK = 40; // pixels that are not worth a button

  function fold(part) {
    const text = part.querySelector("[data-fold-text]");
    const more = part.querySelector("[data-fold-more]");
    const isLong = text.scrollHeight > text.clientHeight + SLACK;
    text.classList.add(isLong ? "is-folded" : "is-whole");
    text.removeAttribute("tabindex"); // it scrolls no more
    more.hidden = !isLong;
    more.addEventListener("click", () => {
      unfold(part);
      text.tabIndex = -1;
      text.focus({ preventScroll: true });
    });
    text.addEventListener("focusin", () => unfold(part)); // a link in what is out of sight
  }

  function unfold(part) {
    part.querySelector("[data-fold-text]").classList.replace("is-folded", "is-whole");
    part.querySelector("[data-fold-more]").hidden = true;
  }

  for (const part of document.querySelectorAll("[data-fold]")) fold(part);
  // What scrolls sideways must be reachable without a mouse.
  for (const wide of document.querySelectorAll('[data-fold] .prose :is(pre, table, math[display="block"])')) {
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
  }
})();
