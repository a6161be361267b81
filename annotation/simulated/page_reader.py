"""Read a page of this site as a browser without eyes does: its forms, its raw texts, its words.

For simulated annotators, who know the site only by its pages. Pure: no request and no Django here.
"""

from dataclasses import dataclass, field
from html.parser import HTMLParser

UNSEEN = {"script", "style", "template", "head", "option", "nav", "header"}


@dataclass
class Form:
    action: str
    fields: dict[str, str] = field(default_factory=dict)  # what a browser would send of an untouched form


@dataclass
class Page:
    """``turns`` and ``completions`` hold the texts of ``<pre data-role>`` and ``<pre data-completion>``."""

    forms: list[Form] = field(default_factory=list)
    turns: list[dict[str, str]] = field(default_factory=list)
    completions: dict[str, str] = field(default_factory=dict)  # letter -> text, as displayed
    words: str = ""
    alerts: list[str] = field(default_factory=list)  # what stands in elements with role="alert"

    def form_with(self, name: str) -> Form | None:
        """The first form that has a field of this name."""
        return next((form for form in self.forms if name in form.fields), None)


def read_page(html: str) -> Page:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    reader.page.words = " ".join(" ".join(reader.seen).split())
    return reader.page


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self.seen: list[str] = []
        self.form: Form | None = None
        self.alert: tuple[str, int] | None = None  # tag of the alert that we are in; where its words begin
        self.unseen = 0  # how many enclosing elements are not shown
        self.select = ""  # the name of the select that we are in
        self.text: list[str] | None = None  # the text of a raw <pre> or a <textarea>, while inside
        self.text_is: tuple[str, str] = ("", "")  # what that text is, and its name

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.unseen += tag in UNSEEN
        if given.get("role") == "alert" and "hidden" not in given and self.alert is None:
            self.alert = tag, len(self.seen)
        match tag:
            case "main":
                self.seen.clear()  # what stands around it is on every page
            case "form":
                self.form = Form(given.get("action", ""))
                self.page.forms.append(self.form)
            case "input":
                self._input(given)
            case "select":
                self.select = given.get("name", "")
            case "option" if self.select and ("selected" in given or not self._has(self.select)):
                self._set(self.select, given.get("value", ""))  # the first one, unless another is selected
            case "textarea":
                self.text, self.text_is = [], ("field", given.get("name", ""))
            case "pre" if "data-completion" in given:
                self.text, self.text_is = [], ("completion", given["data-completion"])
            case "pre" if "data-role" in given:
                self.text, self.text_is = [], ("turn", given["data-role"])

    def handle_endtag(self, tag: str) -> None:
        self.unseen = max(0, self.unseen - (tag in UNSEEN))
        if self.alert is not None and self.alert[0] == tag:
            self.page.alerts.append(" ".join(" ".join(self.seen[self.alert[1] :]).split()))
            self.alert = None
        match tag:
            case "form":
                self.form = None
            case "select":
                self.select = ""
            case "textarea" | "pre" if self.text is not None:
                self._keep_text("".join(self.text))
                self.text = None

    def handle_data(self, data: str) -> None:
        if self.text is not None:
            self.text.append(data)
        elif not self.unseen:
            self.seen.append(data)

    def _keep_text(self, text: str) -> None:
        text = text.removeprefix("\n")  # HTML drops one line feed after <pre> and <textarea>
        match self.text_is:
            case ("completion", letter):
                self.page.completions[letter] = text
            case ("turn", role):
                self.page.turns.append({"role": role, "content": text})
            case (_, name):
                self._set(name, text)

    def _input(self, given: dict[str, str]) -> None:
        match given.get("type", "text"):
            case "submit" | "button" | "reset" | "image" | "file":
                return
            case "checkbox" | "radio" if "checked" not in given:
                return
            case "checkbox" | "radio":
                self._set(given.get("name", ""), given.get("value", "on"))
            case _:
                self._set(given.get("name", ""), given.get("value", ""))

    def _set(self, name: str, value: str) -> None:
        if self.form is not None and name:
            self.form.fields[name] = value

    def _has(self, name: str) -> bool:
        return self.form is not None and name in self.form.fields
