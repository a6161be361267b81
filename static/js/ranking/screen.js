// What the page is looked at with. The widths are those of the style sheets.

export const isNarrow = () => window.matchMedia("(max-width: 44rem)").matches;
export const isTouched = () => window.matchMedia("(pointer: coarse)").matches;
