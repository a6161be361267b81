"""From what a row says of its completions to records: pairs, scores, ranks, and strengths by HelpSteer's scale.

A tie is always told as one group; nothing here lets it fall to either side.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from sampling.intake.formats import conversations
from sampling.intake.formats.values import PROMPT_FIELDS, absent, kept, name_of, split, storable
from sampling.intake.records import FoundCompletion, FoundJudgment, Message, Record
from sampling.json_lines import Unusable, shorten

# annotation.rules.ranking.Strength, strongest first; this app does not know that one.
STRENGTHS = ("significantly_better", "better", "slightly_better", "negligibly_better")
LEVELS = {3: "significantly_better", 2: "better", 1: "slightly_better"}  # HelpSteer2 and 3

FIRST, SECOND, TIE = ((0,), (1,)), ((1,), (0,)), ((0, 1),)
_MARKED = ("safety", "aspects", "defects")
Groups = tuple[tuple[int, ...], ...]
Sides = tuple[tuple[Message, ...], str, str]  # prompt, better text, worse text


def record(
    messages: Sequence[Message],
    completions: Iterable[FoundCompletion],
    judgments: Iterable[FoundJudgment] = (),
    *,
    metadata: Mapping[str, Any] | None = None,
    of_split: str = "",
) -> Record:
    """A record whose judgments make sense. Raises Unusable."""
    completions, judgments = tuple(completions), tuple(judgments)
    if len(completions) == 1 and not completions[0].text.strip():
        raise Unusable("The row's only completion is empty. Leave the row out, or write what was answered.")
    texts = [completion.text for completion in completions]
    if judgments and len(set(texts)) < len(texts):
        if len(set(texts)) == 1:
            raise Unusable("All completions are the same text, so there is nothing to choose. Leave the row out.")
        for judgment in judgments:
            _check_equal_texts_tied(judgment, texts)
    return Record(tuple(messages), completions, judgments, of_split, metadata or {})


def _check_equal_texts_tied(judgment: FoundJudgment, texts: Sequence[str]) -> None:
    places: dict[str, int] = {}
    for place, group in enumerate(judgment.groups):
        for position in group:
            if places.setdefault(texts[position], place) != place:
                raise Unusable(
                    f'Two completions are the same text ("{shorten(texts[position], 40)}") and yet ranked apart. '
                    "Leave one of them out."
                )


def on_helpsteer_scale(level: int) -> tuple[Groups, tuple[str, ...]]:
    """-3 to 3, negative where the first of two is better: HelpSteer2-Preference and HelpSteer3."""
    if level == 0:
        return TIE, ()
    return (FIRST if level < 0 else SECOND), (LEVELS[abs(level)],)


def by_scores(scores: Sequence[float]) -> Groups:
    """Positions by score, highest first; equal scores are tied."""
    places = sorted(set(scores), reverse=True)
    return tuple(tuple(at for at, score in enumerate(scores) if score == place) for place in places)


def by_ranks(ranks: Mapping[int, float]) -> Groups:
    """Positions by rank, lowest first; equal ranks are tied, holes do not matter."""
    places = sorted(set(ranks.values()))
    return tuple(tuple(at for at, rank in ranks.items() if rank == place) for place in places)


def strength_of(value: Any, name: str = "strength") -> str:
    """One of the four, also with blanks; empty where the row says none."""
    if absent(value):
        return ""
    if isinstance(value, str) and (found := value.strip().lower().replace(" ", "_")) in STRENGTHS:
        return found
    raise Unusable(f'"{name}" is unknown ({shorten(repr(value))}); it must be one of {", ".join(STRENGTHS)}.')


def strengths_of(value: Any, gaps: int) -> tuple[str, ...]:
    """One strength for each gap of a ranking, or none at all. Raises Unusable."""
    if value is None or value == []:
        return ()
    if not isinstance(value, list) or len(value) != gaps:
        raise Unusable(f'"strengths" must be a list of {gaps}, one between each two neighbouring groups.')
    return tuple(strength_of(one, "strengths") or "better" for one in value)


def sides(row: Mapping[str, Any], chosen: str = "chosen", rejected: str = "rejected") -> Sides:
    """(prompt, chosen text, rejected text) of a row that names two sides, in any of the ways that are in use.

    The prompt may be said apart (as text, as turns, or as an instruction with its input) or be what both sides begin
    with; a side may be the answer alone or the whole conversation. Raises Unusable.
    """
    better, worse = row.get(chosen), row.get(rejected)
    if _is_whole(better) or _is_whole(worse):
        return _whole_conversations(row, better, worse, chosen, rejected)
    said = prompt_of(row)
    if said is None:
        return _common_beginning(better, worse, chosen, rejected)
    return said, conversations.completion(better, chosen), conversations.completion(worse, rejected)


def prompt_of(row: Mapping[str, Any]) -> tuple[Message, ...] | None:
    """The prompt that a row says apart from what was answered, under any of its usual names; None for none."""
    for name in ("prompt", "messages", "conversations", "question", "query"):
        if not absent(row.get(name)):
            return conversations.prompt(row[name], name, system=row.get("system"))
    if not absent(row.get("instruction")):
        return conversations.prompt(conversations.instruction(row), "instruction", system=row.get("system"))
    return None


def _is_whole(side: Any) -> bool:
    return isinstance(side, list) and len(side) > 1


def _whole_conversations(row: Mapping[str, Any], better: Any, worse: Any, chosen: str, rejected: str) -> Sides:
    before, good = conversations.exchange(better, chosen, system=row.get("system"))
    other, bad = conversations.exchange(worse, rejected, system=row.get("system"))
    if before != other:
        raise Unusable(
            f'"{chosen}" and "{rejected}" differ before their last message, so no prompt is answered by both. '
            "Cut both where they first differ."
        )
    said = row.get("prompt")
    if not absent(said) and isinstance(said, list) and len(said) > len(before):
        raise Unusable(f'"prompt" is longer than what "{chosen}" begins with. Give one of the two.')
    return before, good, bad


def _common_beginning(better: Any, worse: Any, chosen: str, rejected: str) -> Sides:
    """TRL's implicit prompt: what both texts begin with, here up to a blank, since no prompt ends within a word."""
    if not isinstance(better, str) or not isinstance(worse, str):
        raise Unusable(f'The row has "{chosen}" and "{rejected}" but no prompt. Add "prompt".')
    good, bad = conversations.answer(better, chosen), conversations.answer(worse, rejected)
    shared = sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(good, bad, strict=False)))
    while shared and not good[shared - 1].isspace():
        shared -= 1
    if not good[:shared].strip():
        raise Unusable(f'"{chosen}" and "{rejected}" do not begin alike, so there is no prompt. Add "prompt".')
    messages = conversations.prompt(good[:shared].rstrip())
    return messages, conversations.answer(good[shared:], chosen), conversations.answer(bad[shared:], rejected)


def sided_completion(row: Mapping[str, Any], side: str, written: str) -> FoundCompletion:
    """With what the row says of this side beside its text: chosen_model, chosen_finish_reason ..."""
    found = {}
    for name in row:
        if name.startswith(side) and len(name) > len(side) + 1 and name[len(side)] in "_-.":
            found |= {key[len(side) + 1 :]: value for key, value in kept(row, only=[name]).items()}
    return FoundCompletion(written, name_of(found.pop("model", None), f"{side}_model"), found)


def without_marks(completions: Iterable[FoundCompletion]) -> tuple[list[FoundCompletion], dict[int, dict[str, Any]]]:
    """What a row says of each completion parts in two: an annotator's marks, and the completion's own metadata."""
    found, marks = [], {}
    for at, completion in enumerate(completions):
        marked = {name: value for name, value in completion.metadata.items() if name in _MARKED}
        if marked:
            marks[at] = marked
            rest = {name: value for name, value in completion.metadata.items() if name not in _MARKED}
            completion = FoundCompletion(completion.text, completion.writer, rest)
        found.append(completion)
    return found, marks


def metadata_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a row about a judgment or a completion says of its prompt."""
    found = kept(row, only=PROMPT_FIELDS)
    if found.get("language") == "unknown":  # Arena's word for it, and our exports'
        del found["language"]
    return found | own_metadata(row)


def own_metadata(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row's own "metadata", whole."""
    own = row.get("metadata")
    return storable(own, "metadata") if isinstance(own, dict) else {}


def split_of(row: Mapping[str, Any]) -> str:
    return split(row.get("split"))
