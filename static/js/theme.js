// Light, dark, or as the system says. Loaded in the head, before anything is painted, so that nothing flashes.
(() => {
  const KEY = "whetstone-theme";
  const CHOICES = ["auto", "light", "dark"];

  const read = () => {
    try {
      const kept = localStorage.getItem(KEY);
      return CHOICES.includes(kept) ? kept : "auto";
    } catch {
      return "auto"; // storage is switched off in this browser: the system's choice it is
    }
  };

  const apply = (choice) => {
    if (choice === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
    for (const label of document.querySelectorAll("[data-theme-name]")) label.textContent = choice;
  };

  apply(read());
  document.addEventListener("DOMContentLoaded", () => apply(read()));
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const next = CHOICES[(CHOICES.indexOf(read()) + 1) % CHOICES.length];
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // Not kept then, but still shown below for this page.
    }
    apply(next);
  });
})();
