// A button that copies a field, shown where there is a script to do it. Without one, the field is there to be selected.
(() => {
  for (const button of document.querySelectorAll("[data-copy]")) {
    const field = document.getElementById(button.dataset.copy);
    const said = document.querySelector("[data-copied]");
    button.hidden = false;
    button.addEventListener("click", async () => {
      field.select();
      try {
        await navigator.clipboard.writeText(field.value);
        said.textContent = "Copied.";
      } catch {
        // No clipboard over plain HTTP: the text is selected, the rest is a key.
        said.textContent = "Selected. Press Ctrl+C (Cmd+C on a Mac) to copy it.";
      }
    });
  }
})();
