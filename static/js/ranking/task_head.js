// The head of a task that was fetched ahead: it was written before the answer that is just leaving, so the count goes on
// by one here, and the way back leads to that answer.

export function carryOn({ kind, task, link }) {
  const head = document.getElementById("task");
  const saved = head.querySelector("[data-saved]");
  saved.hidden = kind !== "answer";
  if (kind !== "answer") return;
  saved.dataset.saved = task;
  saved.querySelector("[data-saved-word]").textContent = "Sending…";
  saved.querySelector("[data-correct]").href = link;
  const previous = head.querySelector("[data-previous]");
  if (previous) previous.hidden = false;
  addToDone(head, 1);
}

export function arrived(task) {
  const saved = lineOf(task);
  if (saved) saved.querySelector("[data-saved-word]").textContent = "Saved.";
}

// It was refused after all: what was said and counted too early is taken back.
export function takeBack(task) {
  const saved = lineOf(task);
  if (!saved) return;
  saved.hidden = true;
  addToDone(document.getElementById("task"), -1);
}

const lineOf = (task) => document.querySelector(`[data-saved="${task}"]`);

function addToDone(head, by) {
  const done = head.querySelector("[data-done]");
  if (!done) return;
  done.dataset.done = Math.max(Number(done.dataset.done) + by, 0);
  done.textContent = Number(done.dataset.done).toLocaleString("en");
  const bar = head.querySelector(".task-progress progress");
  if (bar) bar.value += by;
}
