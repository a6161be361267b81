"""The store of imported judgments: prompts, completions, the comparisons of these, and who ranked them how.

A batch is a handful of statements, whatever its size. Imports take turns, batch by batch: by the prompt set's row, then
by the project's, which whoever opens comparisons locks too. What makes a second judgment of one annotator a revision, a
repetition or a contradiction is decided in revisions.py, what a new project asks in protocol.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import isfinite
from typing import Any

from django.db import transaction
from django.utils import timezone

from annotation.importing import protocol, undoing
from annotation.importing.annotators import NAMED, ids_of, stand_in
from annotation.importing.comparisons import comparisons_of
from annotation.importing.forms import JudgmentsForm
from annotation.importing.revisions import OURS, Decisions, NotKept, Said, unnamed
from annotation.models import JudgeKind, Judgment, Project
from annotation.rules.marks import Safety
from annotation.rules.protocol import MAX_COMPLETIONS
from annotation.rules.ranking import Ranking, RankingError, check_covers
from sampling.importing.completions import KeptRecord, keep_prompts_and_completions, problem_with_completions
from sampling.importing.hiding import names_somebody
from sampling.importing.stores import CannotImport, Numbered, Stored, store_options
from sampling.intake.records import FoundJudgment, Record
from sampling.models import DataImport

MARKS = ("safety", "aspects", "defects")  # what a mark of ours says; what else a source marks stays in ``source``

# What is kept of what else a source says of a judgment: ids, and how it was told. Whatever a column may hold beside,
# an address of who judged for one, is not. In tools where people ask questions of their own, these are the keys.
KNOWN = frozenset({
    "id", "uid", "uuid", "qid", "question_id", "message_id", "task_id", "item_id", "pair_id", "comparison_id",
    "judgment_id", "annotation_id", "conversation_id", "conversation_hash", "batch", "batch_id", "turn", "winner",
    "preference", "not_transitive", "preference_strength", "score", "individual_preference", "overall_preference",
    "ranked_by", "scores", "ground_truth", "instance_quality", "agreement", "probability", "votes", "margin",
    "confidence", "unnamed",
})  # fmt: skip
ASKS_ITS_OWN = ("argilla", "label_studio")


class JudgmentStore:
    """Keeps judgments as imported ones, beside those that are given here and never mixed with them unasked."""

    label = "judgments"
    form = JudgmentsForm

    def __init__(self, data_import: DataImport) -> None:
        self.data_import = data_import
        self._known: Project | None = None

    def problem_of(self, record: Record) -> str | None:
        if problem := problem_with_completions(record, at_least=2):
            return problem
        if (k := len(record.completions)) > MAX_COMPLETIONS:
            return f"The row has {k} completions; a comparison has at most {MAX_COMPLETIONS}. Leave some of them out."
        if not record.judgments:
            return (
                "The row has completions and no judgment of them. Import completions alone, or choose another format."
            )
        return next(filter(None, (_problem_of(judgment, k) for judgment in record.judgments)), None)

    def store(self, batch: Sequence[Numbered]) -> Stored:
        rejected: dict[int, str] = {}
        while True:
            good = [numbered for numbered in batch if numbered.line not in rejected]
            if not good:
                return Stored(rejected=rejected)
            options = self.data_import.options
            try:
                with transaction.atomic():  # what a rejected row brought is taken back with it
                    return self._keep(good, rejected)
            except _Rejected as found:
                self.data_import.options = options
                rejected |= found.reasons

    def _keep(self, batch: Sequence[Numbered], rejected: dict[int, str]) -> Stored:
        kept = keep_prompts_and_completions(self.data_import, batch)
        project = self._project(batch)
        prompts = {record.completion_ids: record.prompt_id for record in kept}
        comparisons, new = comparisons_of(project, self.data_import, prompts)
        rows = [
            _Row(numbered, here, comparisons[here.completion_ids]) for numbered, here in zip(batch, kept, strict=True)
        ]
        judgments = self._judgments(project, rows)
        stored = Stored(comparisons=len(new), judgments=judgments, rejected=rejected)
        for row in rows:
            stored.prompts += row.kept.is_new_prompt
            stored.completions += row.kept.new_completions
            is_new = row.kept.is_new_prompt or row.kept.new_completions or row.comparison_id in new or row.added
            stored.known += not is_new
            if is_new:
                stored.new_lines.add(row.numbered.line)
            new.discard(row.comparison_id)  # the batch's next record of it finds it there
        return stored

    def _judgments(self, project: Project, rows: Sequence["_Row"]) -> int:
        """Keep what is new; how many. Raises _Rejected with the lines of which something cannot be kept."""
        are_one = store_options(self.data_import).get("unnamed_are_one", True)
        source_format = self.data_import.options.get("format", "")
        for row in rows:
            row.said = [_said(row, each, source_format) for each in _in_order(row.numbered.record, are_one)]
        said = [each for row in rows for each in row.said]
        people = ids_of(project, {each.annotator for each in said if each.annotator})
        decisions = Decisions({row.comparison_id for row in rows}, said, people)
        reasons = {}
        for line, group in groupby(rows, key=lambda row: row.numbered.line):
            try:
                _keep_line(list(group), decisions)
            except NotKept as problem:
                reasons[line] = str(problem)
        if reasons:
            raise _Rejected(reasons)
        people |= ids_of(project, {each.annotator for each in decisions.new} - people.keys())
        common = {"kind": JudgeKind.IMPORTED, "data_import": self.data_import}
        now = timezone.now()
        for made in decisions.in_rounds():
            Judgment.objects.bulk_create(each.as_judgment(people, source_format, now, **common) for each in made)
        return len(decisions.new)

    def _project(self, batch: Sequence[Numbered]) -> Project:
        """The project, locked: the one that was chosen, or a new one, fitted to what these records show."""
        chosen = store_options(self.data_import)
        project = None
        if slug := chosen.get("project"):
            project = Project.objects.select_for_update(no_key=True).filter(slug=slug).first()
        if project and project.pk == chosen.get("made_project"):
            protocol.widen(project, self._shown(batch), self.data_import.created_by)
        return project or self._new_project(chosen, batch)

    def _new_project(self, chosen: Mapping[str, Any], batch: Sequence[Numbered]) -> Project:
        name = chosen.get("new_project") or chosen.get("made_as")  # as before, where that was undone
        if not name:
            told = f'There is no project "{chosen["project"]}" any more.' if chosen.get("project") else "It has none."
            raise CannotImport(f"Judgments are imported into a project. {told} Choose one, and import again.")
        if Project.objects.filter(name=name).exists():
            raise CannotImport(f'There is a project "{name}" already. Choose it, or another name, and import again.')
        made = protocol.make_project(name, self._shown(batch), self.data_import.created_by)
        self._remember(project=made.slug, new_project="", made_project=made.pk, made_as=name)
        return made

    def _shown(self, batch: Sequence[Numbered]) -> protocol.Shown:
        return protocol.shown_by(numbered.record for numbered in batch)

    def _remember(self, **more: Any) -> None:
        """In the import's options, with the batch: whoever goes on with it later goes on with the same project."""
        options = self.data_import.options
        self.data_import.options = options | {"store": options.get("store", {}) | more}
        DataImport.objects.filter(pk=self.data_import.pk).update(options=self.data_import.options)

    def stand_in(self, name: str) -> str:
        """Empty as long as there is no project: the pseudonyms are a project's."""
        if self._known is None:
            slug = store_options(self.data_import).get("project")
            self._known = Project.objects.filter(slug=slug).first() if slug else None
        return stand_in(self._known, name) if self._known and name else ""

    def undo(self, go_on: Callable[[str], object]) -> None:
        undoing.take_out_judgments(self.data_import, store_options(self.data_import), go_on)


class _Rejected(Exception):
    def __init__(self, reasons: dict[int, str]) -> None:
        self.reasons = reasons


@dataclass(slots=True)
class _Row:
    numbered: Numbered
    kept: KeptRecord
    comparison_id: int
    said: list[Said] = field(default_factory=list)
    added: int = 0


def _keep_line(rows: Sequence[_Row], decisions: Decisions) -> None:
    are_new = iter(decisions.keep_line([each for row in rows for each in row.said]))
    for row in rows:
        row.added = sum(next(are_new) for _ in row.said)


def _problem_of(judgment: FoundJudgment, k: int) -> str | None:
    try:
        check_covers(Ranking(judgment.groups, judgment.strengths), range(k))
    except RankingError as error:
        return f"A judgment cannot be used: {error}"
    if judgment.at is not None and judgment.at.tzinfo is None:
        return "The time of a judgment has no time zone. Add one, such as Z for UTC."
    if judgment.seconds_spent is not None and not (isfinite(judgment.seconds_spent) and judgment.seconds_spent >= 0):
        return f"A judgment took {judgment.seconds_spent} seconds; that is no length of time."
    return next(filter(None, (_problem_of_mark(mark) for mark in judgment.marks.values())), None)


def _problem_of_mark(mark: Mapping[str, Any]) -> str | None:
    safety, aspects, defects = mark.get("safety"), mark.get("aspects", {}), mark.get("defects", [])
    if safety is not None and safety not in list(Safety):
        return f'A completion is marked "{safety}"; it must be safe or unsafe.'
    if not isinstance(aspects, Mapping) or not all(isinstance(value, int) for value in aspects.values()):
        return "The aspects of a mark must be whole numbers by name."
    if isinstance(defects, str) or not all(isinstance(defect, str) for defect in defects):
        return "The defects of a mark must be a list of names."
    return None


def _in_order(record: Record, are_one: bool) -> list[tuple[str, int, FoundJudgment]]:
    """Judgments as they were given, with the name they go by ("" until it is decided) and their place in the record.

    By time where the record says it of all. Those without an annotator are different people as far as one record goes:
    the first, the second ... of each kind.
    """
    named = []
    for place, judgment in enumerate(record.judgments):
        name = NAMED + judgment.annotator.strip()
        if not judgment.annotator.strip():
            earlier = sum(not other.annotator.strip() for other in record.judgments[:place])
            name = unnamed(judgment.by, earlier) if are_one else ""
        named.append((name, place, judgment))
    if all(judgment.at for judgment in record.judgments):
        named.sort(key=lambda each: each[2].at)
    return named


def _is_kept(key: str, source_format: str) -> bool:
    return key in KNOWN or (source_format in ASKS_ITS_OWN and not names_somebody(key))


def _said(row: _Row, named: tuple[str, int, FoundJudgment], source_format: str) -> Said:
    name, place, found = named
    ids = row.kept.completion_ids
    ranking = Ranking(tuple(tuple(sorted(ids[each] for each in group)) for group in found.groups), found.strengths)
    marks, further = {}, {}
    for position, mark in found.marks.items():
        kept = {key: value for key, value in mark.items() if key in MARKS and value is not None}
        marks |= {str(ids[position]): kept} if kept else {}
        further |= {str(ids[position]): rest} if (rest := {k: v for k, v in mark.items() if k not in MARKS}) else {}
    # Its own names of ours stay apart; what it says by position is told of "order".
    told = {key: value for key, value in found.source.items() if _is_kept(key, source_format)}
    source = {f"{key}_of_source" if key in OURS else key: value for key, value in told.items()}
    source |= {"order": list(ids)} if source else {}
    source |= {"marks": further} if further else {}
    return Said(
        comparison_id=row.comparison_id,
        annotator=name,
        is_named=bool(found.annotator.strip()),
        content={
            "ranking": [list(group) for group in ranking.groups],
            "strengths": [strength.value for strength in ranking.strengths],
            "marks": marks,
            "all_bad": found.all_bad,
            "rationale": found.rationale,
        },
        at=found.at,
        seconds_spent=found.seconds_spent,
        by=found.by,
        source=source,
        where=(row.numbered.line, place),
    )
