// What an answer still lacks, in words for the annotator, each with the way to it.

import { EDIT } from "./rankings.js";

export function missingIn(page) {
  const { answer } = page;
  const missing = [];
  if (!answer.isRanked) missing.push(unranked(page));
  missing.push(...page.marks.missing());
  if (page.editor.problem) missing.push({ text: page.editor.problem, focus: () => page.editor.open(answer.editOf) });
  const note = answer.control("rationale");
  if (note && page.form.dataset.rationale === "required" && !note.value.trim()) missing.push({ text: "Say why", focus: () => page.layout.openNote() });
  return missing;
}

function unranked(page) {
  const { answer } = page;
  const letters = answer.unranked.filter((item) => item !== EDIT);
  const some = letters.length === answer.letters.length ? "all" : letters.join(", ");
  const text = answer.isQuick ? "Say which is better" : `Rank ${some}`;
  const focus = () => page.board.element.focus(); // the group and none of its buttons: another Enter must not press one
  return { text, focus };
}
