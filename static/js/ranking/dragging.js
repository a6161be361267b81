// Dragging by pointer events, because the browser's own drag and drop does not know fingers.

const DRAG_AFTER_PIXELS = 6;

export class Dragging {
  constructor(page, board, signal) {
    this.page = page;
    this.board = board;
    this.form = page.form;
    this.signal = signal;
    this.justDragged = false;
    this.form.addEventListener("pointerdown", (event) => this.onPointerDown(event), { signal });
  }

  onPointerDown(event) {
    const chip = event.target.closest("[data-chip]");
    if (!chip || event.button !== 0) return;
    const item = chip.dataset.chip;
    const start = { x: event.clientX, y: event.clientY };
    const drag = new AbortController();
    let ghost = null;
    let over = null;

    const move = (moved) => {
      const distance = Math.hypot(moved.clientX - start.x, moved.clientY - start.y);
      if (!ghost && distance < DRAG_AFTER_PIXELS) return;
      ghost ??= this.start(chip);
      ghost.style.transform = `translate(${moved.clientX - 20}px, ${moved.clientY - 20}px)`;
      const target = this.targetAt(moved.clientX, moved.clientY);
      if (target === over) return;
      over?.classList.remove("drop-here");
      target?.classList.add("drop-here");
      over = target;
    };
    const end = (ended) => {
      drag.abort();
      if (!ghost) return;
      ghost.remove();
      this.form.classList.remove("is-dragging");
      // The click that the browser sends after this belongs to the drag.
      this.justDragged = true;
      setTimeout(() => (this.justDragged = false), 0);
      const isDrop = ended.type === "pointerup" && over && this.board.element.contains(over);
      if (isDrop) this.page.picking.drop(item, over.dataset.drop);
      else this.page.render();
    };
    const options = { signal: drag.signal };
    window.addEventListener("pointermove", move, options);
    window.addEventListener("pointerup", end, options);
    window.addEventListener("pointercancel", end, options);
    this.signal.addEventListener("abort", () => drag.abort(), { once: true });
  }

  // The place under the pointer; elsewhere on the board the nearest gap.
  targetAt(x, y) {
    const under = document.elementFromPoint(x, y);
    const place = under?.closest("[data-drop]");
    if (place || !this.board.element.contains(under)) return place ?? null;
    const distance = (gap) => {
      const box = gap.getBoundingClientRect();
      return Math.hypot(x - (box.left + box.right) / 2, y - (box.top + box.bottom) / 2);
    };
    return [...this.board.element.querySelectorAll('[data-drop^="gap"]')].sort((a, b) => distance(a) - distance(b))[0] ?? null;
  }

  start(chip) {
    const ghost = chip.cloneNode(true);
    ghost.classList.add("chip-ghost");
    ghost.removeAttribute("data-chip");
    ghost.setAttribute("aria-hidden", "true");
    document.body.append(ghost);
    chip.classList.add("is-dragged");
    this.form.classList.add("is-dragging");
    return ghost;
  }
}
