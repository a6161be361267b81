"""What a model wrote, as HTML that may stand in our page. The text is hostile input.

Markdown is rendered with its HTML switched off, formulas become MathML, code gets classes for its colours,
and all of it then passes nh3's allow-list. That is what keeps the page safe: nothing before it is trusted to.
No database, no request.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from html import escape

import latex2mathml.converter
import nh3
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.texmath import texmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

RENDERED_CHARACTERS = 20_000  # about 3,000 words; what comes after is shown as plain text on demand
FORMULA_CHARACTERS = 1_000
CODE_CHARACTERS = 10_000  # longer code is shown without colours: some lexers take their time

# Characters that turn the direction of what follows: with them a text can look like another one.
BIDI_CONTROLS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

MATH_TAGS = (
    "math mrow mi mn mo ms mtext mspace mfrac msqrt mroot mstyle merror mpadded mphantom msub msup msubsup "
    "munder mover munderover mmultiscripts mtable mtr mtd"
)
TEXT_TAGS = "p br hr h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code em strong s a span table thead tbody tr th td"
TAGS = set(f"{MATH_TAGS} {TEXT_TAGS}".split())
ATTRIBUTES = {
    "a": {"href", "title"},
    "ol": {"start"},
    "span": {"class"},
    "code": {"class"},
    "math": {"display", "xmlns"},
    "mo": {"stretchy", "fence", "separator", "lspace", "rspace", "form"},
    "mi": {"mathvariant"},
    "mspace": {"width", "linebreak"},
    "mtable": {"columnalign", "rowspacing", "columnspacing"},
    "mstyle": {"displaystyle", "scriptlevel"},
    "mfrac": {"linethickness"},
}


@dataclass(frozen=True)
class Rendered:
    """``html`` is safe; ``raw`` and ``rest`` are plain text for a template to escape."""

    html: str
    raw: str
    rest: str = ""  # what was too long to be rendered


@lru_cache(maxsize=256)
def render(text: str) -> Rendered:
    """Markdown from anybody, as HTML that is safe to show as it is."""
    raw = show_bidi_controls(text)
    head, rest = _cut(BIDI_CONTROLS.sub("", text))
    return Rendered(html=_clean(_markdown().render(head)), raw=raw, rest=rest)


def show_bidi_controls(text: str) -> str:
    """The text with its invisible direction marks spelt out, so that what is read is what is there."""
    return BIDI_CONTROLS.sub(lambda match: f"[U+{ord(match[0]):04X}]", text)


def _cut(text: str) -> tuple[str, str]:
    if len(text) <= RENDERED_CHARACTERS:
        return text, ""
    # At the end of a line where there is one, so that no list or fence is torn in the middle of a line.
    end = text.rfind("\n", RENDERED_CHARACTERS // 2, RENDERED_CHARACTERS)
    end = RENDERED_CHARACTERS if end < 0 else end + 1
    return text[:end], text[end:]


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True, "highlight": _code, "maxNesting": 30})
    markdown.enable(["table", "strikethrough"])
    dollarmath_plugin(markdown, allow_digits=False, renderer=_formula)
    texmath_plugin(markdown, delimiters="brackets")  # \( \) and \[ \], as many models write
    for name in ("math_inline", "math_inline_double", "math_block"):
        markdown.add_render_rule(name, _formula_rule)
    markdown.add_render_rule("image", _image_rule)
    return markdown


def _formula_rule(self, tokens, index, options, env) -> str:
    token = tokens[index]
    return _formula(token.content, {"display_mode": token.type != "math_inline"})


def _formula(latex: str, options: dict) -> str:
    display = "block" if options["display_mode"] else "inline"
    if len(latex) <= FORMULA_CHARACTERS:
        try:
            return latex2mathml.converter.convert(latex.strip(), display=display)
        except Exception:  # noqa: S110 - whatever the library says to a broken formula: show it as written
            pass
    return f"<code>{escape(latex)}</code>"


def _image_rule(self, tokens, index, options, env) -> str:
    # Never loaded: an image's address would tell a stranger who is reading, and when.
    alt = tokens[index].content or "no description"
    return f"<span>[image: {escape(alt)}]</span>"


def _code(code: str, language: str, attributes: str) -> str:
    if not language or len(code) > CODE_CHARACTERS:
        return escape(code)
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        return escape(code)
    return highlight(code, lexer, HtmlFormatter(nowrap=True))


def _clean(html: str) -> str:
    return nh3.clean(
        html,
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        clean_content_tags={"script", "style"},
    )
