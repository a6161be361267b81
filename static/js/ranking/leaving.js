// A correction that was begun is not left without a word. It stays in this browser, so leaving loses nothing.

import { element } from "./elements.js";

export function askBeforeLeaving(page, address) {
  const button = (name, words, act) => {
    const made = element("button", { type: "button", class: name }, words);
    made.addEventListener("click", () => {
      dialog.close();
      act();
    });
    return made;
  };
  const dialog = element("dialog", { "aria-labelledby": "leaving-title", id: "leaving" },
    element("div", { class: "stack" },
      element("h2", { id: "leaving-title" }, "Leave without saving?"),
      element("p", {}, "What you changed does not count yet. This browser keeps it, should you open this answer again."),
      element("div", { class: "form-actions" },
        button("btn btn-primary", "Stay here", () => page.rest()),
        button("btn", "Leave it", () => window.location.assign(address)))));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
