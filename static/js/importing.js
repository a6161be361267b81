// The form of a new import: a file may be dropped on it, and how much of it has been uploaded is shown. Without a
// script the file is chosen by its button, and the browser shows what it does.
(() => {
  const megabytes = (bytes) => (bytes / 1e6).toLocaleString("en", { maximumFractionDigits: 1, minimumFractionDigits: 1 });

  const zoneOf = (event) => event.target.closest?.("[data-drop]");
  const holdsFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

  function showDropping() {
    for (const words of document.querySelectorAll("[data-drop-words]")) words.hidden = false;
  }

  document.addEventListener("dragover", (event) => {
    if (!holdsFile(event) || !document.querySelector("[data-drop]")) return;
    event.preventDefault(); // a file that misses the zone must not replace the page, and the form with it
    const zone = zoneOf(event);
    for (const each of document.querySelectorAll("[data-drop]")) each.classList.toggle("is-over", each === zone);
    event.dataTransfer.dropEffect = zone ? "copy" : "none";
  });

  document.addEventListener("drop", (event) => {
    if (!holdsFile(event) || !document.querySelector("[data-drop]")) return;
    event.preventDefault();
    const zone = zoneOf(event);
    if (!zone) return;
    zone.classList.remove("is-over");
    const input = zone.querySelector("input[type='file']");
    const one = new DataTransfer();
    one.items.add(event.dataTransfer.files[0]);
    input.files = one.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });

  document.addEventListener("dragleave", (event) => {
    const zone = zoneOf(event);
    if (zone && !zone.contains(event.relatedTarget)) zone.classList.remove("is-over");
  });

  function show(form, loaded, total) {
    const progress = form.querySelector("[data-upload-progress]");
    progress.hidden = false;
    progress.querySelector("progress").value = total ? (100 * loaded) / total : 0;
    progress.querySelector("[data-upload-words]").textContent =
      loaded < total
        ? `${megabytes(loaded)} of ${megabytes(total)} MB uploaded`
        : "Uploaded. The server puts it into place …";
  }

  document.addEventListener("htmx:xhr:progress", (event) => {
    const form = event.target.closest?.("form[data-upload]");
    const isUpload = form?.querySelector("input[type='file']")?.files.length;
    if (isUpload && event.detail.lengthComputable) show(form, event.detail.loaded, event.detail.total);
  });

  // The form can be sent again then: htmx makes its button usable, and the file is still chosen.
  document.addEventListener("htmx:afterRequest", (event) => {
    const form = event.target.closest?.("form[data-upload]");
    if (!form || event.detail.successful) return;
    const progress = form.querySelector("[data-upload-progress]");
    if (event.detail.xhr?.status !== 422) {
      progress.querySelector("[data-upload-words]").textContent = "It did not arrive. Try again.";
    }
  });

  addEventListener("DOMContentLoaded", showDropping);
  document.addEventListener("htmx:afterSwap", showDropping);
})();
