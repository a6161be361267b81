// Rankings: groups of items, best first, and one strength between each two neighbours. Nothing of the page here.
// An item is a completion's letter, or EDIT: the better answer that the annotator wrote.

export const EDIT = "edit";
export const DEFAULT_STRENGTH = "better";
export const UNCHOSEN = ""; // nobody has said how much better yet; DEFAULT_STRENGTH is what counts then
const ORDINALS = ["1st", "2nd", "3rd"];

export const ordinal = (n) => ORDINALS[n - 1] ?? `${n}th`;
export const clone = (value) => structuredClone(value);

export function placeOf(ranking, item) {
  return ranking.groups.findIndex((group) => group.includes(item)) + 1;
}

export function without(ranking, item) {
  const groups = ranking.groups.map((group) => group.filter((other) => other !== item));
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

// Move an item into a group, or into the gap before group `index` (the gap after the last one is `groups.length`).
export function moved(ranking, item, { kind, index }) {
  if (kind === "tray") return without(ranking, item);
  const groups = ranking.groups.map((group) => group.filter((other) => other !== item));
  const strengths = [...ranking.strengths];
  if (kind === "group") {
    groups[index].push(item);
  } else {
    groups.splice(index, 0, [item]);
    if (groups.length > 1) strengths.splice(Math.min(index, strengths.length), 0, UNCHOSEN);
  }
  return dropEmpty({ groups, strengths });
}

// The ranking with the edit where it may stand: above what it edits, and nowhere as long as that has no place.
export function settled(ranking, edited) {
  const original = edited ? placeOf(ranking, edited) : 0;
  const edit = placeOf(ranking, EDIT);
  if (!original) return edit ? without(ranking, EDIT) : ranking;
  if (edit && edit < original) return ranking;
  const bare = without(ranking, EDIT);
  return moved(bare, EDIT, { kind: "gap", index: placeOf(bare, edited) - 1 });
}
