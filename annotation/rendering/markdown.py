"""What a model wrote, as HTML that may stand in our page. The text is hostile input.

Markdown is rendered with its HTML switched off, formulas become MathML, code gets classes for its colours,
and all of it then passes nh3's allow-list. That is what keeps the page safe: nothing before it is trusted to.
What keeps it usable are the limits: a text is rendered up to a length, shown up to another, and where its markup is
of a kind that would take long, it is shown as plain text. No clock decides: the same text always looks the same.
No database, no request.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from html import escape, unescape
from xml.etree import ElementTree

import latex2mathml.converter
import nh3
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.texmath import texmath_plugin

from annotation.rendering.characters import spell_out, take_out
from annotation.rendering.code_colours import CLASSES, CODE_CHARACTERS, coloured

RENDERED_CHARACTERS = 20_000  # about 3,000 words; what comes after is shown as plain text on demand
SHOWN_CHARACTERS = 50_000  # what comes after is not in the page at all: it has an address of its own
HTML_CHARACTERS = 400_000
FORMULA_CHARACTERS = 1_000
FORMULAS = 500
# Where the renderer's work grows with the square of these: more of them and the text is shown plainly.
BRACKETS = 1_500
FORMULA_BRACKETS = 1_000
TABLE_CELLS = 10_000

MATH_TAGS = (
    "math mrow mi mn mo ms mtext mspace mfrac msqrt mroot mstyle merror mpadded mphantom msub msup msubsup "
    "munder mover munderover mmultiscripts mtable mtr mtd"
)
TEXT_TAGS = "p br hr h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code em strong s a span table thead tbody tr th td"
TAGS = set(f"{MATH_TAGS} {TEXT_TAGS}".split())
ATTRIBUTES = {
    "a": {"href", "title"},
    "ol": {"start"},
    "math": {"display", "xmlns", "tabindex"},
    "mo": {"stretchy", "fence", "separator", "lspace", "rspace", "form"},
    "mi": {"mathvariant"},
    "mspace": {"width", "linebreak"},
    "mtable": {"columnalign", "rowspacing", "columnspacing"},
    "mstyle": {"displaystyle", "scriptlevel"},
    "mfrac": {"linethickness"},
}
_CLEANER = nh3.Cleaner(
    tags=TAGS,
    attributes=ATTRIBUTES,
    allowed_classes={"span": set(CLASSES)},
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",  # a model knows no page of this site: such a link could only mislead
    link_rel="noopener noreferrer nofollow",
    # What is wider than its card is scrolled, by the keyboard too.
    set_tag_attribute_values={"a": {"target": "_blank"}, "pre": {"tabindex": "0"}, "table": {"tabindex": "0"}},
    clean_content_tags={"script", "style"},
)
# A length in a formula that is negative, or of more than four em or so, moves things over what stands beside it.
_OUTSIZE = re.compile(
    r' (?:width|[lr]space|(?:row|column)spacing|linethickness)="(?!\+?(?:[0-3]?(?:\.\d+)?) ?e[mx]")[^"]*"'
)


@dataclass(frozen=True)
class Rendered:
    """``html`` is safe; ``raw`` and ``rest`` are plain text for a template to escape."""

    html: str
    raw: str  # as it was written, up to SHOWN_CHARACTERS
    rest: str = ""  # what of it was too long to be rendered
    unshown: int = 0  # how many characters are in none of these: a link leads to them


def render(text: str, at_most: int = SHOWN_CHARACTERS) -> Rendered:
    """Markdown from anybody, as HTML that is safe to show as it is; of the text ``at_most`` so many characters."""
    shown = text[:at_most]
    head, rest = _cut(shown)
    return Rendered(html=_html(head), raw=spell_out(shown), rest=spell_out(rest), unshown=len(text) - len(shown))


def _cut(text: str) -> tuple[str, str]:
    if len(text) <= RENDERED_CHARACTERS:
        return text, ""
    # At the end of a line where there is one, so that no list or fence is torn in the middle of a line.
    end = text.rfind("\n", RENDERED_CHARACTERS // 2, RENDERED_CHARACTERS)
    end = RENDERED_CHARACTERS if end < 0 else end + 1
    return text[:end], text[end:]


@lru_cache(maxsize=512)  # of texts that are no longer than RENDERED_CHARACTERS
def _html(text: str) -> str:
    text = take_out(text.replace("\r\n", "\n").replace("\r", "\n"))
    if _takes_long(text):
        return _plainly(text)
    html = _CLEANER.clean(_markdown().render(text, {"formulas": 0, "coloured": 0}))
    return html if len(html) <= HTML_CHARACTERS else _plainly(text)


def _takes_long(text: str) -> bool:
    if text.count("[") > BRACKETS or text.count("\\(") + text.count("\\[") > FORMULA_BRACKETS:
        return True
    # Short rows are filled up to the width of their table.
    lines = text.split("\n")
    return max(line.count("|") for line in lines) * len(lines) > TABLE_CELLS


def _plainly(text: str) -> str:
    return "<p>" + escape(text).replace("\n", "<br>") + "</p>"


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": 30})
    markdown.enable(["table", "strikethrough"])
    markdown.disable("reference")  # a definition is not shown: a text could hide in it
    dollarmath_plugin(markdown, allow_digits=False, allow_labels=False)
    texmath_plugin(markdown, delimiters="brackets")  # \( \) and \[ \], as many models write
    for name in ("math_inline", "math_inline_double", "math_block"):
        markdown.add_render_rule(name, _formula_rule)
    markdown.add_render_rule("image", _image_rule)
    markdown.add_render_rule("fence", _fence_rule)
    return markdown


def _formula_rule(self, tokens, index, options, env) -> str:
    token = tokens[index]
    env["formulas"] += 1
    if env["formulas"] > FORMULAS:
        return f"<code>{escape(token.content)}</code>"
    return _formula(token.content, "inline" if token.type == "math_inline" else "block")


@lru_cache(maxsize=1024)  # the completions of one prompt write the same ones again and again
def _formula(latex: str, display: str) -> str:
    if len(latex) <= FORMULA_CHARACTERS:
        try:
            return _OUTSIZE.sub("", _mathml(latex.strip(), display))
        except Exception:  # noqa: S110 - whatever the library says to a broken formula: show it as written
            pass
    return f"<code>{escape(latex)}</code>"


def _mathml(latex: str, display: str) -> str:
    """As the library's own ``convert`` has it, which writes what stands in \\text{...} without escaping it."""
    math = latex2mathml.converter.convert_to_element(latex, display=display)
    for element in math.iter():
        element.text = unescape(element.text or "")  # it names its signs by entities
    if display == "block":
        math.set("tabindex", "0")  # as of what else may be scrolled
    return ElementTree.tostring(math, encoding="unicode")


def _image_rule(self, tokens, index, options, env) -> str:
    # Never loaded: an image's address would tell a stranger who is reading, and when.
    alt = tokens[index].content or "no description"
    return f"<span>[image: {escape(alt)}]</span>"


def _fence_rule(self, tokens, index, options, env) -> str:
    code, language = tokens[index].content, tokens[index].info.partition(" ")[0]
    env["coloured"] += len(code)
    return f"<pre><code>{coloured(code, language if env['coloured'] <= CODE_CHARACTERS else '')}</code></pre>\n"
