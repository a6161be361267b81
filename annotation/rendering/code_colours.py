"""Code with classes for its colours. Pure, and bounded: what model output may ask of a lexer is limited.

Some of pygments' lexers take seconds for a few thousand characters that were chosen for it. So only languages that
were measured to be harmless are coloured, and only code whose lines and gaps are as long as in code that people write.
"""

import re
from functools import lru_cache
from html import escape

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

CODE_CHARACTERS = 5_000  # of one text, in all its blocks
LINE_CHARACTERS = 300
GAP_CHARACTERS = 50  # spaces and line ends in one run

_MEASURED = """
    bash c clojure cmake cpp css dart diff docker elixir go graphql haskell html java javascript jsx json
    julia kotlin lisp lua matlab perl php powershell protobuf python ruby rust scss sql swift toml tsx typescript
    xml yaml
"""
LANGUAGES = frozenset(_MEASURED.split())
# The classes that the site's style colours; a token of any other kind is left as it is.
_IN_THE_STYLE = """
    k kd kn kr kt kc kp ow s s1 s2 sa sb sc sd se sh si sr ss m mi mf mh mo mb il nf nc nb nd nt na fm
    c c1 cm ch cs cp cpf
"""
CLASSES = frozenset(_IN_THE_STYLE.split())
_GAP = re.compile(rf"\s{{{GAP_CHARACTERS},}}")


def coloured(code: str, language: str) -> str:
    """The code as HTML: spans with a class of CLASSES, everything escaped; plain where it is not coloured."""
    lexer = _lexer(language.lower()) if language and _is_ordinary(code) else None
    if lexer is None:
        return escape(code)
    tokens = list(lexer.get_tokens(code))
    if "".join(text for _, text in tokens) != code:  # some lexers lose a last line that does not end
        return escape(code)
    return "".join(_span(STANDARD_TYPES.get(kind) or _class_of(kind), text) for kind, text in tokens)


def _is_ordinary(code: str) -> bool:
    return (
        len(code) <= CODE_CHARACTERS
        and max(map(len, code.split("\n"))) <= LINE_CHARACTERS
        and _GAP.search(code) is None
    )


def _span(name: str, text: str) -> str:
    return f'<span class="{name}">{escape(text)}</span>' if name in CLASSES else escape(text)


def _class_of(kind) -> str:
    """A kind that pygments has no class for is coloured as the nearest that contains it."""
    while kind.parent and not STANDARD_TYPES.get(kind):
        kind = kind.parent
    return STANDARD_TYPES.get(kind, "")


@lru_cache(maxsize=128)
def _lexer(name: str) -> Lexer | None:
    try:
        # As it is: neither are line ends taken off nor is one added.
        lexer = get_lexer_by_name(name, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
    return lexer if LANGUAGES.intersection(lexer.aliases) else None
