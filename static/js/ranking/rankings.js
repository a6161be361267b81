// Rankings: groups of letters, best first, and one strength between each two neighbours. Nothing of the page here.

export const STRENGTHS = ["significantly_better", "better", "slightly_better", "negligibly_better"];
export const SHORT = {
  significantly_better: "significantly", better: "better", slightly_better: "slightly", negligibly_better: "negligibly",
};
export const DEFAULT_STRENGTH = "better";
const ORDINALS = ["1st", "2nd", "3rd"];

export const ordinal = (n) => ORDINALS[n - 1] ?? `${n}th`;
export const clone = (value) => structuredClone(value);

export function without(ranking, letter) {
  const groups = ranking.groups.map((group) => group.filter((other) => other !== letter));
  return dropEmpty({ groups, strengths: [...ranking.strengths] });
}

function dropEmpty({ groups, strengths }) {
  for (let i = groups.length - 1; i >= 0; i--) {
    if (groups[i].length) continue;
    groups.splice(i, 1);
    strengths.splice(Math.min(i, strengths.length - 1), 1);
  }
  return { groups, strengths: strengths.slice(0, Math.max(groups.length - 1, 0)) };
}

// Move a letter into a group, or into the gap before group `index` (the gap after the last one is `groups.length`).
export function moved(ranking, letter, { kind, index }) {
  if (kind === "tray") return without(ranking, letter);
  const groups = ranking.groups.map((group) => group.filter((other) => other !== letter));
  const strengths = [...ranking.strengths];
  if (kind === "group") {
    groups[index].push(letter);
  } else {
    groups.splice(index, 0, [letter]);
    if (groups.length > 1) strengths.splice(Math.min(index, strengths.length), 0, DEFAULT_STRENGTH);
  }
  return dropEmpty({ groups, strengths });
}
