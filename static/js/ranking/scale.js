// Two completions: one row of buttons says which is better, and how much; with or without a tie, and "both bad".

import { element } from "./elements.js";
import { DEFAULT_STRENGTH, clone } from "./rankings.js";

export function drawScale(page) {
  const { answer } = page;
  const choices = choicesOf(answer);
  const now = keyOf({ ...answer.ranking, allBad: answer.badIsAChoice && answer.allBad });
  const isAssumed = answer.unchosen > 0; // a side was picked by its key; how much better, nobody has said
  const holder = element("div", { class: `scale scale-${choices.length}` });
  choices.forEach((choice, i) => {
    const button = element("button", {
      type: "button", "data-choice": i, "aria-pressed": String(keyOf(choice) === now), "aria-label": choice.label,
      class: choice.groups.length === 1 ? "is-even" : isAssumed && keyOf(choice) === now ? "is-assumed" : null,
    }, choice.name, element("span", {}, choice.words));
    button.addEventListener("click", () => page.picking.choose(clone(choice)));
    holder.append(button);
  });
  return holder;
}

function choicesOf(answer) {
  const [a, b] = answer.letters;
  const levels = answer.asksStrength ? answer.levels : [{ value: DEFAULT_STRENGTH, short: "better", label: "better" }];
  const over = (upper, lower) => ({ value, short, label }) => ({
    groups: [[upper], [lower]], strengths: [value], allBad: false, name: upper, words: short, label: `${upper} is ${label}`,
  });
  const tie = {
    groups: [[a, b]], strengths: [], allBad: false, name: "=", words: answer.tieLabel, label: capital(answer.tieLabel),
  };
  const bad = { ...tie, allBad: true, name: "✕", words: "both bad", label: "Both are bad" };
  return [
    ...levels.map(over(a, b)),
    ...(answer.allowTies ? [tie] : []),
    ...(answer.badIsAChoice ? [bad] : []),
    ...[...levels].reverse().map(over(b, a)),
  ];
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

// What two choices have to share to be one: the strength counts only where one is above the other.
function keyOf({ groups, strengths, allBad }) {
  return JSON.stringify([groups.map((group) => [...group].sort()), strengths.map((each) => each || DEFAULT_STRENGTH), Boolean(allBad)]);
}
