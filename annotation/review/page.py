"""What a reviewer sees of one comparison: every judgment side by side, in letters that are the same for all.

Which policy wrote what is not here: a manager may ask for it, and then it is looked up (``policies``).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from annotation.importing.revisions import UNKNOWN_TIME
from annotation.models import Assignment, AssignmentState, Comparison, JudgeKind, Judgment, Project, Purpose
from annotation.rendering.characters import spell_out
from annotation.rendering.conversation import Turn, conversation
from annotation.rendering.markdown import Rendered, render
from annotation.review.listing import KINDS_OF_JUDGES
from annotation.rules import marks
from annotation.rules.diff import Piece, is_cut, word_diff
from annotation.rules.disagreement import Disagreement, disagreement_of
from annotation.rules.letters import fixed_letters, in_letters
from annotation.rules.ranking import Strength
from sampling.intake.records import JudgedBy
from sampling.models import Completion

BY_WHOM = {
    JudgedBy.PERSON: "a person",
    JudgedBy.MODEL: "a model",
    JudgedBy.VOTES: "votes",
    JudgedBy.UNKNOWN: "not said by whom",
}
TURNS_IN_SIGHT = 3  # of a longer conversation the end is shown


@dataclass(frozen=True)
class Shown:
    """One completion, under its letter."""

    letter: str
    text: Rendered
    words: int
    places: list[str]  # in each judgment of ``Review.columns``: "1", "2 =" where tied
    policy: str = ""  # only where a manager asked


@dataclass(frozen=True)
class Step:
    """A group of the ranking, and how far it stands above the next one."""

    letters: list[str]
    gap: str = ""


@dataclass(frozen=True)
class MarkLine:
    letter: str
    safety: str
    aspects: list[tuple[str, int]]
    defects: list[str]


@dataclass(frozen=True)
class EditShown:
    of: str  # the letter of what it began as
    changes: list[Piece]
    is_cut: bool  # only the beginnings are compared


@dataclass(frozen=True)
class Column:
    """One judgment, and the revisions that it supersedes, newest first."""

    judgment: Judgment
    steps: list[Step]
    marks: list[MarkLine]
    edits: list[EditShown]
    shown_as: str  # the letters in the order in which this annotator saw them; empty where that is not known
    source: "Source | None" = None  # of what was judged elsewhere
    earlier: list["Column"] = field(default_factory=list)


@dataclass(frozen=True)
class Source:
    """What an imported judgment says of where it comes from."""

    by: str  # "a model"
    name: str  # the import's
    address: str
    is_timed: bool  # else its time is that of the import


@dataclass(frozen=True)
class Among:
    """How far the judges of one kind disagree, and on which completions ("A and B")."""

    kind: str  # as in "2 people"
    judges: int
    share: Disagreement
    pairs: list[str]


@dataclass(frozen=True)
class Review:
    conversation: list[Turn]
    completions: list[Shown]
    columns: list[Column]  # the annotators' current judgments, people first
    decisions: list[Column]  # the reviewers', newest first: the first one counts
    disagreements: list[Among]
    skips: list[Assignment]
    known_answer: str = ""  # in letters; only of what is not work
    explanation: Rendered | None = None

    @property
    def here(self) -> int:
        """Judgments that were given here."""
        return len(self.columns) - self.imported

    @property
    def imported(self) -> int:
        return sum(column.source is not None for column in self.columns)

    @property
    def earlier(self) -> list[tuple[int, Turn]]:
        """The turns of a long conversation that are folded, with their numbers (1 ...)."""
        return self._numbered[: self._folded]

    @property
    def recent(self) -> list[tuple[int, Turn]]:
        """From the answer to which the user's last question replies, on."""
        return self._numbered[self._folded :]

    @property
    def _numbered(self) -> list[tuple[int, Turn]]:
        return list(enumerate(self.conversation, start=1))

    @property
    def _folded(self) -> int:
        if len(self.conversation) <= TURNS_IN_SIGHT:
            return 0
        asked = [number for number, turn in self._numbered if turn.role == "user"]
        return max(0, (asked[-1] if asked else len(self.conversation)) - 2)


def review_of(comparison: Comparison, *, with_policies: bool = False) -> Review:
    completions = list(comparison.completions.select_related("model_version" if with_policies else None))
    letters = fixed_letters(comparison.content_key, (each.pk for each in completions))
    judgments = list(
        comparison.judgments.select_related("annotator", "assignment", "guidelines_version", "data_import").order_by(
            "pk"
        )
    )
    columns = _columns(comparison.project, judgments, {each.pk: each.text for each in completions}, letters)
    by_annotators = sorted(
        (column for column in columns if not column.judgment.is_decision),
        key=lambda column: (list(JudgeKind).index(column.judgment.kind), column.judgment.pk),
    )
    skipped = comparison.assignments.filter(state=AssignmentState.SKIPPED).select_related("annotator")
    return Review(
        conversation=conversation(comparison.prompt.messages),
        completions=[
            Shown(
                letters[each.pk],
                render(each.text),
                len(each.text.split()),
                [_place(column.judgment, each.pk, letters) for column in by_annotators],
                str(each.model_version or each.written_by_model) if with_policies else "",
            )
            for each in sorted(completions, key=lambda each: letters[each.pk])
        ],
        columns=by_annotators,
        decisions=sorted(
            (column for column in columns if column.judgment.is_decision), key=lambda column: -column.judgment.pk
        ),
        disagreements=_disagreements(by_annotators, letters),
        skips=list(skipped.order_by("created_at")),
        **_known(comparison, letters),
    )


def whole_texts(comparison: Comparison) -> dict[str, str]:
    """Completions by letter and turns of the conversation by number (1 ...), as they are: for what a page cuts off."""
    texts = dict(comparison.completions.values_list("pk", "text"))
    letters = fixed_letters(comparison.content_key, texts)
    turns = {str(number): turn["content"] for number, turn in enumerate(comparison.prompt.messages, start=1)}
    return {letters[pk]: text for pk, text in texts.items()} | turns


def _known(comparison: Comparison, letters: Mapping[int, str]) -> dict[str, Any]:
    if comparison.purpose == Purpose.WORK:
        return {}
    explanation = render(comparison.explanation) if comparison.explanation.strip() else None
    return {"known_answer": in_letters(comparison.known_ranking, letters), "explanation": explanation}


def _columns(project: Project, judgments: Iterable[Judgment], texts: Mapping[int, str], letters) -> list[Column]:
    """One column per assignment, or annotator elsewhere: the newest revision, with the older ones inside."""
    judgments = list(judgments)
    placed = {pk for judgment in judgments for group in judgment.ranking for pk in group}
    edits = {edit.pk: edit for edit in Completion.objects.filter(pk__in=placed - texts.keys())}
    revisions = defaultdict(list)
    for judgment in judgments:
        of = judgment.assignment_id or judgment.annotator_id
        revisions[of].append(_column(project, judgment, texts, edits, letters))
    found = []
    for columns in revisions.values():
        *earlier, newest = sorted(columns, key=lambda column: column.judgment.revision)
        newest.earlier.extend(reversed(earlier))
        found.append(newest)
    return found


def _column(project: Project, judgment: Judgment, texts, edits, letters: Mapping[int, str]) -> Column:
    placed = [pk for group in judgment.ranking for pk in group]
    own = [edits[pk] for pk in placed if pk in edits]
    names = {**letters, **{edit.pk: f"{letters.get(edit.edit_of_id, '?')}+" for edit in own}}
    is_imported = judgment.kind == JudgeKind.IMPORTED
    # What was said elsewhere is shown whatever this project asks.
    tells = project.asks_strength or is_imported
    gaps = [project.scale.words(Strength(strength)) for strength in judgment.strengths] if tells else []
    return Column(
        judgment=judgment,
        steps=[
            Step(sorted(names.get(pk, "?") for pk in group), gap or "")
            for group, gap in zip_longest(judgment.ranking, gaps[: len(judgment.ranking)])
        ],
        marks=_marks(project, judgment, letters),
        edits=[
            _edit(letters[edit.edit_of_id], texts[edit.edit_of_id], edit.text)
            for edit in own
            if edit.edit_of_id in texts
        ],
        shown_as="" if is_imported else " ".join(letters.get(pk, "?") for pk in judgment.assignment.display_order),
        source=_source(judgment) if is_imported else None,
    )


def _source(judgment: Judgment) -> Source:
    said = judgment.source.get("by")
    by = JudgedBy(said) if said in list(JudgedBy) else JudgedBy.UNKNOWN
    brought = judgment.data_import
    return Source(BY_WHOM[by], str(brought), brought.get_absolute_url(), judgment.source.get("time") != UNKNOWN_TIME)


def _edit(letter: str, before: str, after: str) -> EditShown:
    before, after = spell_out(before), spell_out(after)
    return EditShown(letter, word_diff(before, after), is_cut(before) or is_cut(after))


def _marks(project: Project, judgment: Judgment, letters: Mapping[int, str]) -> list[MarkLine]:
    """By today's names of the aspects and defects; one that is not asked any more keeps its key."""
    aspects = {aspect.key: aspect.label for aspect in project.asked_aspects}
    defects = {defect.key: defect.label for defect in project.asked_defects}
    lines = []
    for pk, stored in judgment.marks.items():
        mark = marks.mark_from_json(stored)
        lines.append(
            MarkLine(
                letters.get(int(pk), "?"),
                str(mark.safety or ""),
                [(aspects.get(key, key), mark.aspects[key]) for key in _in_order(mark.aspects, aspects)],
                [defects.get(key, key) for key in _in_order(mark.defects, defects)],
            )
        )
    return sorted(lines, key=lambda line: line.letter)


def _in_order(given: Iterable[str], asked: Iterable[str]) -> list[str]:
    """As the project asks them; the database keeps no order."""
    asked = list(asked)
    return sorted(given, key=lambda key: (asked.index(key) if key in asked else len(asked), key))


def _place(judgment: Judgment, pk: int, letters: Mapping[int, str]) -> str:
    """Among what everybody was shown: somebody's own edit takes no place from the others."""
    groups = [[each for each in group if each in letters] for group in judgment.ranking]
    for place, group in enumerate(filter(None, groups), start=1):
        if pk in group:
            return f"{place} =" if len(group) > 1 else str(place)
    return ""


def _disagreements(columns: Iterable[Column], letters: Mapping[int, str]) -> list[Among]:
    by_kind = defaultdict(list)
    for column in columns:
        by_kind[column.judgment.kind].append(column.judgment.ranking)
    found = []
    for kind, rankings in by_kind.items():
        if len(rankings) > 1:
            share = disagreement_of(rankings)
            pairs = sorted(" and ".join(sorted(letters.get(pk, "?") for pk in pair)) for pair in share.pairs)
            found.append(Among(KINDS_OF_JUDGES[kind], len(rankings), share, pairs))
    return found
