// What a completion's card shows of the answer: its place, whether a tie is on offer, the edit that was made of it.

import { ordinal } from "./rankings.js";

export function renderCard(page, card) {
  const { answer } = page;
  const { letter } = card.dataset;
  const place = answer.placeOf(letter);
  const isTied = place && answer.ranking.groups[place - 1].length > 1;
  const isWinner = place === 1 && !isTied;
  card.classList.toggle("is-ranked", Boolean(place));
  card.classList.toggle("is-first", isWinner);
  const words = place ? ordinal(place) + (isTied ? ", tied" : "") : "";
  card.querySelector("[data-place]").textContent = words;
  const pick = card.querySelector("[data-pick]");
  pick.setAttribute("aria-pressed", String(Boolean(place)));
  pick.setAttribute("aria-label", `Completion ${letter}, ${words || "not ranked"}`);
  const tie = card.querySelector("[data-tie]");
  if (tie) {
    const hadFocus = tie === document.activeElement;
    tie.hidden = answer.isQuick || Boolean(place) || !answer.ranking.groups.length;
    if (hadFocus && tie.hidden) pick.focus();
  }
  const edit = card.querySelector("[data-edit]");
  page.layout.countMarks(card);
  if (!edit) return;
  const isEdited = answer.editOf === letter;
  edit.textContent = isEdited ? `Your ${letter}+` : "Edit";
  edit.classList.toggle("is-on", isEdited);
}
