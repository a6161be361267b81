// A form as plain pairs that can be kept, sent again and put back; without what is only of this moment.

// A closed tab still sends up to 64 KB; a longer request is refused at once if it asks for that.
export const KEEPALIVE_CHARACTERS = 30_000;
const NOT_KEPT = new Set(["csrfmiddlewaretoken"]);

export function fieldsOf(form) {
  return [...new FormData(form)].filter(([name]) => !NOT_KEPT.has(name));
}

// Put kept pairs back into a form. The request's key comes along: the same answer sent again is one judgment.
export function putBack(form, fields) {
  const given = new Map();
  for (const [name, value] of fields) given.set(name, [...(given.get(name) ?? []), value]);
  for (const control of form.elements) {
    if (!control.name || NOT_KEPT.has(control.name)) continue;
    const values = given.get(control.name) ?? [];
    if (control.matches("[type=radio], [type=checkbox]")) control.checked = values.includes(control.value);
    else if (values.length) [control.value] = values;
  }
}

// Signing in again in another tab makes a new token; with it, what is on this page can still be sent.
export function token() {
  return document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";
}
