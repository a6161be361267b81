// A form as plain pairs that can be kept, sent again and put back; without what is only of this moment.

// A closed tab still sends up to 64 KB; a longer request is refused at once if it asks for that.
export const KEEPALIVE_CHARACTERS = 30_000;
const NOT_KEPT = new Set(["csrfmiddlewaretoken"]);
// Of the page that sent it, and not put back: the server knows the keys and the revision that count for a new page.
const OF_ONE_PAGE = new Set([...NOT_KEPT, "request_key", "based_on", "earlier_keys"]);

export function fieldsOf(form) {
  return [...new FormData(form)].filter(([name]) => !NOT_KEPT.has(name));
}

// Put kept pairs back into a form.
export function putBack(form, fields) {
  const given = new Map();
  for (const [name, value] of fields) given.set(name, [...(given.get(name) ?? []), value]);
  for (const control of form.elements) {
    if (!control.name || OF_ONE_PAGE.has(control.name)) continue;
    const values = given.get(control.name) ?? [];
    if (control.matches("[type=radio], [type=checkbox]")) control.checked = values.includes(control.value);
    else if (values.length) [control.value] = values;
  }
}

// What an answer says, without when and how it was sent: two that say the same are one.
export function contentOf(form) {
  return JSON.stringify(fieldsOf(form).filter(([name]) => !OF_ONE_PAGE.has(name) && name !== "seconds_spent"));
}

// Not crypto.randomUUID, which only pages over https and on this machine itself have.
export function newKey() {
  return "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (digit) =>
    (Number(digit) ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (Number(digit) / 4)))).toString(16));
}

// Signing in again in another tab makes a new token; with it, what is on this page can still be sent.
export function token() {
  return document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";
}
