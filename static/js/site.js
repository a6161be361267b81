// What every page shares: menus that close, and a word when the server cannot be reached.
(() => {
  const menus = () => document.querySelectorAll("details.menu[open]");

  document.addEventListener("click", (event) => {
    for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of menus()) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  // A double click on what makes something makes it once. Going back to the page makes the form usable again.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-once]") || event.defaultPrevented) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
  });
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });

  // Who signs out leaves no words of theirs in this browser, which others may use too. Only an answer that has not
  // arrived yet stays: this is its only copy, and it leaves when they are back.
  document.addEventListener("submit", (event) => {
    const user = event.target.dataset.signOut;
    if (user) forgetWordsOf(user);
  });

  function forgetWordsOf(user) {
    try {
      for (const key of Object.keys(localStorage)) {
        const isRefused = key.startsWith(`whetstone-outbox-${user}-`) && JSON.parse(localStorage.getItem(key))?.refused;
        if (isRefused || key.startsWith(`whetstone-draft-${user}-`)) localStorage.removeItem(key);
      }
    } catch {
      // Storage is switched off: then nothing was kept.
    }
  }

  // After a form that was refused, the reader is where the first thing is wrong.
  addEventListener("DOMContentLoaded", () => {
    const form = document.querySelector('#content form:has([aria-invalid="true"])');
    form?.querySelector('[aria-invalid="true"]').focus();
    // Of tabs that do not all fit, the present one is in sight.
    const tab = document.querySelector(".tabs [aria-current]");
    if (tab) tab.parentElement.scrollLeft = tab.offsetLeft - (tab.parentElement.clientWidth - tab.offsetWidth) / 2;
  });

  // Live parts ask again by themselves, so this only says why a page stands still.
  const connection = () => document.getElementById("connection");
  document.addEventListener("htmx:sendError", () => {
    if (connection()) connection().hidden = false;
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (connection() && event.detail.successful) connection().hidden = true;
  });
})();
