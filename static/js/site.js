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

  // Live parts ask again by themselves, so this only says why a page stands still.
  const connection = () => document.getElementById("connection");
  document.addEventListener("htmx:sendError", () => {
    if (connection()) connection().hidden = false;
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (connection() && event.detail.successful) connection().hidden = true;
  });
})();
