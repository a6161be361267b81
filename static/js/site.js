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

  // Live parts ask again by themselves, so this only says why a page stands still.
  const connection = () => document.getElementById("connection");
  document.addEventListener("htmx:sendError", () => {
    if (connection()) connection().hidden = false;
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (connection() && event.detail.successful) connection().hidden = true;
  });
})();
