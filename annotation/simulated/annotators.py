"""
Simulated annotators: simple stated rules that rank completions where no person is at hand.

Two of the three are sober and differ in taste; the third weighs both tastes and errs at a stated rate. All
of them first ask whether a text is an answer at all, so that an empty, one-word, copied, looping or
off-topic text loses against a decent one however neat it looks. That question multiplies the taste:
nothing buys it back.

No Django and no database here, and no knowledge of which model wrote a text or where on the page it stood:
a ranking depends on the conversation, the set of texts and a seed, and on nothing else. Nor do the rules
know what is true: they read the surface, so a fluent falsehood about the right subject passes, and a right
answer that shares no word with its prompt is undervalued. They are there to show and to test the loop, not
to stand in for people.
"""

import hashlib
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

# [{"role": "user", "content": "..."}, ...], the last one is the user's
Messages = Sequence[Mapping[str, str]]

TIE_WITHIN = 0.04  # scores lie in 0..1; two texts whose scores are nearer than this are tied
STRENGTHS = (
    (0.45, "significantly_better"),
    (0.2, "better"),
    (0.1, "slightly_better"),
    (0.0, "negligibly_better"),
)

ENOUGH_WORDS = 10  # fewer is a stub
MANY_WORDS = 30  # more begins to ramble
TOO_MANY_WORDS = 90
LONG_WORD_LETTERS = 10

# The small words that English sentences are held together by.
SMALL_WORDS = frozenset(
    """
    a about after all also am an and any are as at be because been before but by can could did do
    does for from had has have he her here him his how i if in into is it its just like make makes
    many may me more most must my no not of on one only or other our out over own she should so some
    such than that the their them then there these they this those to too two up us very was we were
    what when where which while who why will with would you your
    """.split()  # noqa: SIM905 - readable as text
)
# What a prompt asks to be done, as opposed to what it is about.
TASK_WORDS = frozenset(
    """
    answer brief change combine correct describe explain explanation few five four funny give
    grammar help idea lines list name new now paint plain please poem point put question rephrase
    replace reword rewrite say sentence sentences short shorten shorter simple simpler small
    something sound story style suggest summarise tale tell text thing things three tiny turn twenty
    use want way word words write
    """.split()  # noqa: SIM905 - readable as text
)
FILLER = re.compile(
    r"^\W*(sure|certainly|of course|absolutely|definitely|(great|good) question|ok|okay|well,|hello|hi|hey|"
    r"(thank you|thanks) for (asking|reaching|sharing|your question)|i apologi[sz]e|"
    r"(i'd be|i'm|i am) (happy|glad) to|(i'm|i am) (sorry|unable|afraid)|i (can't|cannot|can help)|"
    r"let me|let's|here is|here's|here are)(?!\w)",
    re.IGNORECASE,
)
SELF_TALK = re.compile(r"\b(as an ai|language model|ai assistant|chatbot|smollm|hugging face)\b", re.IGNORECASE)
LIST_MARK = re.compile(r"^\s*([-*+•]|#{1,6}|>|\d{1,2}[.)])\s+")
SENTENCE_END = re.compile(r"[.!?…][\"'\u201d)\]]*$")
WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")


@dataclass(frozen=True)
class Ranking:
    """`groups` hold indices into the texts, best first, tied ones together; a strength stands between two."""

    groups: list[list[int]]
    strengths: list[str]


@dataclass(frozen=True)
class Annotator:
    """One simulated annotator: who it is, what it says that it wants, and the rule by which it scores."""

    name: str
    statement: str
    score: Callable[[Messages, str], float]  # 0..1
    error_rate: float  # the chance that two neighbours in its ranking change places


# Reading a text


def strip_marks(text: str) -> list[str]:
    """The text's lines that say something: no markdown marks, single spaces, straight apostrophes."""
    lines = (LIST_MARK.sub("", line) for line in text.replace("\u2019", "'").splitlines())
    plain = (" ".join(re.sub(r"[*`~]|__", "", line).split()) for line in lines)
    return [line for line in plain if line]


def words(text: str) -> list[str]:
    """The words as written: "Don't", "well-known" and "3" are one each."""
    return WORD.findall(" ".join(strip_marks(text)))


def stem(word: str) -> str:
    """A crude stem, so that "rainbow" and "rainbows" or "explains" and "explaining" meet."""
    return word.lower().removesuffix("'s").removesuffix("s")[:6]


def runs(items: Sequence[str], length: int) -> list[tuple[str, ...]]:
    """Every run of that many neighbouring words."""
    return [tuple(items[i : i + length]) for i in range(len(items) - length + 1)]


# Is it an answer at all? Each rule gives 1 to a decent text and falls to, or near, 0.


def says_enough(text: str) -> float:
    """Ten words are enough; fewer count in proportion, so nothing at all scores nothing."""
    return min(1.0, len(words(text)) / ENOUGH_WORDS)


def on_topic(messages: Messages, text: str) -> float:
    """Mentions what the prompt is about: one of its subject words, or two where it has more than three."""
    said = " ".join(message["content"] for message in messages if message["role"] != "system")
    subject = {stem(w) for w in words(said) if len(w) > 2 and w.lower() not in SMALL_WORDS | TASK_WORDS}
    if not subject:
        return 1.0
    needed = 1 if len(subject) <= 3 else 2
    found = len(subject & {stem(word) for word in words(text)})
    return 0.15 + 0.85 * min(1.0, found / needed)


def is_prose(text: str) -> float:
    """A quarter of its words are small words ("the", "is", "of"), as in sentences, not in heaped-up names."""
    found = words(text)
    small = sum(word.lower() in SMALL_WORDS for word in found)
    return min(1.0, small / len(found) / 0.25) if found else 0.0


def is_fresh(text: str) -> float:
    """Does not go round in circles: every repeated run of three words costs, and half of them is the end."""
    found = runs([word.lower() for word in words(text)], 3)
    repeated = 1 - len(set(found)) / len(found) if found else 0.0
    return max(0.0, 1 - 2 * repeated)


def is_own(messages: Messages, text: str) -> float:
    """Not the prompt again: a text of which more than half is copied from the prompt loses that share."""
    told = {run for m in messages for run in runs([w.lower() for w in words(m["content"])], 4)}
    found = runs([word.lower() for word in words(text)], 4)
    copied = sum(run in told for run in found) / len(found) if found else 0.0
    return 1 - copied if copied > 0.5 else 1.0


def is_answer(messages: Messages, text: str) -> float:
    """Says enough, about the subject, in sentences, without circling or copying."""
    return math.prod(
        (says_enough(text), on_topic(messages, text), is_prose(text), is_fresh(text), is_own(messages, text))
    )


# Tastes


def is_finished(text: str) -> float:
    """1 if it ends as a sentence does, or as a list of bare items does; 0 if it breaks off."""
    lines = strip_marks(text)
    if not lines or not words(lines[-1]) or re.fullmatch(r"\d{1,2}[.)]", lines[-1]):
        return 0.0
    if SENTENCE_END.search(lines[-1]):
        return 1.0
    return float(_ends_like_the_items_before(lines))


def _ends_like_the_items_before(lines: list[str]) -> bool:
    last = words(lines[-1])
    bare = len(lines) >= 3 and not any(SENTENCE_END.search(line) for line in lines[1:])
    return bare and len(last) <= 3 and last[-1].lower() not in SMALL_WORDS and lines[-1][-1] not in ",:;-"


def is_short(text: str) -> float:
    """1 up to 30 words, falling to 0 at 90: says it and stops."""
    over = len(words(text)) - MANY_WORDS
    return min(1.0, max(0.0, 1 - over / (TOO_MANY_WORDS - MANY_WORDS)))


def is_direct(text: str) -> float:
    """1 if it starts with the matter itself; 0 after "Sure!", "As an AI" or other talk about talking."""
    plain = " ".join(strip_marks(text))
    return 0.0 if FILLER.search(plain) or SELF_TALK.search(plain) else 1.0


def has_plain_words(messages: Messages, text: str) -> float:
    """Every odd word that the prompt does not use costs, and a quarter of them is the end."""
    told = {word.lower() for message in messages for word in words(message["content"])}
    odd = total = 0
    for line in strip_marks(text):
        starts = {m.end() for m in re.finditer(r"(?:^|[.!?:]\W+|\n)\W*", line)}
        for match in WORD.finditer(line):
            word = match.group()
            total += 1
            odd += word.lower() not in told and _is_odd(word, starts_sentence=match.start() in starts)
    return max(0.0, 1 - 4 * odd / total) if total else 0.0


def _is_odd(word: str, *, starts_sentence: bool) -> bool:
    """Long, foreign or shouted, or a name in mid-sentence."""
    if word == "I" or word.startswith("I'") or word.isdigit():
        return False
    if not word.isascii() or len(word) > LONG_WORD_LETTERS:
        return True
    rest = word[1:] if starts_sentence else word
    return rest != rest.lower()


def brief_score(messages: Messages, text: str) -> float:
    """A finished answer counts most; then one that is short. Breaking off is no way to be short."""
    return is_answer(messages, text) * (0.25 + is_finished(text) * (0.45 + 0.3 * is_short(text)))


def plain_score(messages: Messages, text: str) -> float:
    """Plain words and a finished answer count the same; then that it starts with the matter itself."""
    taste = 0.4 * has_plain_words(messages, text) + 0.4 * is_finished(text) + 0.2 * is_direct(text)
    return is_answer(messages, text) * taste


def mixed_score(messages: Messages, text: str) -> float:
    """The mean of both tastes."""
    return (brief_score(messages, text) + plain_score(messages, text)) / 2


ANNOTATORS: dict[str, Annotator] = {
    annotator.name: annotator
    for annotator in (
        Annotator("sim-brief", "Wants an answer that is finished and short.", brief_score, 0.0),
        Annotator(
            "sim-plain",
            "Wants plain words that go straight to the matter and come to an end.",
            plain_score,
            0.0,
        ),
        Annotator("sim-noisy", "Weighs both wishes, and errs in one of four places.", mixed_score, 0.25),
    )
}


# Ranking


def rank(name: str, messages: Messages, texts: Sequence[str], *, seed: int) -> Ranking:
    """
    How this annotator ranks the texts; the same each time, in whatever order the texts come.

    Raises ValueError for an annotator that does not exist, and for no texts.
    """
    annotator = ANNOTATORS.get(name)
    if annotator is None:
        raise ValueError(f'There is no simulated annotator "{name}"; choose one of {", ".join(ANNOTATORS)}.')
    if not texts:
        raise ValueError(f"{name} was given no texts; a ranking needs at least one.")
    # Rounded, so that 1.0 - 0.8 is a gap of 0.2 and not a hair less.
    scores = [round(annotator.score(messages, text), 4) for text in texts]
    groups = _err(annotator, messages, texts, _tie(scores, texts), seed=seed)
    # A group speaks with its best score, because that is what ties were measured against.
    best = [max(scores[i] for i in group) for group in groups]
    return Ranking(groups, [strength_of(round(abs(better - worse), 4)) for better, worse in pairwise(best)])


def strength_of(gap: float) -> str:
    """One of the four strengths for a gap between two scores."""
    return next(strength for least, strength in STRENGTHS if gap >= least)


def verdict(messages: Messages, a: str, b: str, *, seed: int) -> float:
    """The majority of the annotators on two texts: 1.0 where `a` wins, 0.0 where `b` wins, 0.5 for a tie."""
    ahead = 0  # how many more of them prefer `a`
    for name in ANNOTATORS:
        match rank(name, messages, [a, b], seed=seed).groups:
            case [[0], [1]]:
                ahead += 1
            case [[1], [0]]:
                ahead -= 1
            case [_]:  # tied
                pass
            case groups:
                raise AssertionError(f"Two texts cannot be ranked as {groups}.")
    return 0.5 if ahead == 0 else float(ahead > 0)


def _tie(scores: Sequence[float], texts: Sequence[str]) -> list[list[int]]:
    """Best first; a text joins the group above it if it is nearer than TIE_WITHIN to that group's best."""
    groups: list[list[int]] = []
    for i in sorted(range(len(texts)), key=lambda i: (-scores[i], texts[i])):
        if groups and scores[groups[-1][0]] - scores[i] < TIE_WITHIN:
            groups[-1].append(i)
        else:
            groups.append([i])
    return [sorted(group) for group in groups]


def _err(
    annotator: Annotator, messages: Messages, texts: Sequence[str], groups: list[list[int]], *, seed: int
) -> list[list[int]]:
    """Lets neighbours change places at the annotator's error rate, each group at most once."""
    # Sorted texts: the order on the page must not decide where the error falls.
    key = repr((seed, annotator.name, [m["content"] for m in messages], sorted(texts)))
    chance = random.Random(hashlib.sha256(key.encode()).digest())  # noqa: S311 - no secret
    groups, i = list(groups), 0
    while i + 1 < len(groups):
        if chance.random() < annotator.error_rate:
            groups[i], groups[i + 1] = groups[i + 1], groups[i]
            i += 1
        i += 1
    return groups
