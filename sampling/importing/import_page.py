"""What an import's page shows in each state of the import, as context for its templates."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.urls import reverse

from sampling.curation.forms import PostedSteps, steps_context, steps_from, steps_problem
from sampling.importing import showing
from sampling.importing.forms import MAPPED, SettingsForm, store_form
from sampling.importing.kinds import KINDS
from sampling.importing.left_out import listing
from sampling.importing.options import Options, options_of
from sampling.importing.showing import Stage
from sampling.importing.stores import store_options
from sampling.intake.formats import FORMATS
from sampling.intake.sources.rows import breaks_off
from sampling.json_lines import NOT_JSON
from sampling.models import Completion, DataImport, Doing, LeftOut, LeftOutRow

KEPT = {  # what each kind of import keeps of a record
    "prompts": ("prompts",),
    "completions": ("prompts", "completions"),
    "judgments": ("prompts", "completions", "judgments"),
}
HOLDS_NONE = "Read as "  # so begins what the look says of a format without any; the page says it with links
PROJECTS_SHOWN, IMPORTS_SHOWN = 200, 10
BREAKS_OFF = "breaks off after row"  # intake/sources says it so: of a source, and of its last row
NOT_WHOLE = ("is not whole", "cannot be unpacked", "it was not read", "damaged behind this row")
ROWS_LOOKED_BACK, BROKEN_SHOWN = 1000, 5
LOOK, SAVE = "look", "save_filters"  # buttons of the settings; the filters have their own


def state(row: DataImport, *, since: str = "") -> dict[str, Any]:
    """What every state has."""
    present, measured = showing.now(row), showing.moments_of(since)
    return {
        "row": row,
        "stage": showing.stage_of(row),
        "standing": showing.standing(row),
        "kind": KINDS.get(row.what),
        "since": " ".join(map(str, showing.next_moments(measured, present))),
        "speed": None if row.is_over else showing.speed(row, measured, present),
        "added": showing.added(row),
        "came": showing.came(row),
        "has_stored": showing.has_stored(row),
        "may_be_undone": not why_not_undone(row),
        "undo_first": undo_first(row) if row.failure else [],
        "project": project_of(row),
        "table": showing.first_rows(row.seen),
        "records": showing.records(row.seen),
        "format_label": _label(row.seen.get("format", "")),
    }


def _label(key: str) -> str:
    return FORMATS[key].label if key in FORMATS else key


def looked_at(row: DataImport) -> str:
    """Which look the numbers are of."""
    return row.finished_at.isoformat() if row.finished_at else ""


def project_of(row: DataImport) -> Any:
    """Where its judgments are, or will be: what annotation keeps is reached by a reverse relation, as data.

    Judgments of comparisons that were there already have a project too.
    """
    if row.what != "judgments":
        return None
    if comparison := row.comparisons.order_by().select_related("project").first():
        return comparison.project
    if judgment := row.judgments.order_by().select_related("comparison__project").first():
        return judgment.comparison.project
    chosen = store_options(row)
    if row.undone_at is None and (slug := chosen.get("project")):
        return projects().filter(slug=slug).first()
    return None


def projects() -> Any:
    """All of them, for staff. Of a reverse relation, as above, so that no app above need be known here."""
    of_comparisons = DataImport._meta.get_field("comparisons").related_model
    return of_comparisons._meta.get_field("project").related_model.objects.order_by("name")


def undo_first(row: DataImport) -> list[DataImport]:
    """Later imports that hold revisions of its judgments: it cannot be undone before them."""
    if row.what != "judgments" or not showing.has_stored(row):
        return []
    later = DataImport.objects.filter(judgments__supersedes__data_import=row).exclude(pk=row.pk)
    return list(later.order_by("pk").distinct()[:IMPORTS_SHOWN])


def why_not_undone(row: DataImport) -> str:
    """Empty where it may be tried. What was made of it only the undoing itself finds out."""
    if not row.is_over:
        return "A worker has this import now. Cancel it first, or wait until it is over."
    if row.undone_at:
        return "It is undone already."
    if not showing.has_stored(row):
        return "It has added nothing, so there is nothing to take out again."
    return ""


# --- before it comes in -----------------------------------------------------------------------------------------


def settings_of(row: DataImport, *, by_hand: bool = False) -> dict[str, Any]:
    """``by_hand``: with the columns to be chosen, whatever format it has."""
    options = options_of(row.options)
    asked = replace(options, format=MAPPED) if by_hand else options
    form = SettingsForm(seen=row.seen, options=asked, what=row.what)
    return _settings(row, form, store_form(row.what, initial=options.store), options.steps) | _would(row)


def _settings(row: DataImport, form: SettingsForm, to_store: Any, steps: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "settings_form": form,
        "store_form": to_store,
        "formats": [each for key, each in FORMATS.items() if row.what in each.gives],
        **steps_context(steps, metadata_keys=showing.metadata_keys(row.seen)),
    }


def _would(row: DataImport) -> dict[str, Any]:
    found = row.seen.get("records", {})
    records = {kind: found[kind] for kind in KEPT[row.what] if found.get(kind)}
    filters = row.seen.get("filters", ())
    links = [] if row.what in records else instead(row)
    return {
        "would": list(records.items()),
        "would_words": showing.counts(showing.to_be_added(row.seen, KEPT[row.what])) or "nothing that is new",
        "known_words": "" if row.what not in records else showing.in_set_already(row.seen, KEPT[row.what]),
        "problems": [each for each in row.seen.get("problems", ()) if not (links and each.startswith(HOLDS_NONE))],
        "may_start": row.what in records and not is_file_gone(row),
        "instead": links,
        "removed_count": sum(step.get("removed", 0) for step in filters),
        "funnel": showing.funnel(filters),
        "looked_at": looked_at(row),
        "is_file_gone": is_file_gone(row),
    }


def is_file_gone(row: DataImport) -> bool:
    """An uploaded file is kept for a time only."""
    return row.is_uploaded and not Path(row.location).exists()


def instead(row: DataImport) -> list[dict[str, str]]:
    """What can be done with a source whose format holds nothing of the kind that was asked for."""
    found = FORMATS.get(row.seen.get("format", ""))
    if found is None or found.key == MAPPED or row.what in found.gives:
        return []
    most = next((what for what in ("completions", "prompts") if what in found.gives), "")
    links = [{"words": "Choose the columns by hand", "address": "?columns=by-hand#import-settings"}]
    if most:
        query = urlencode({"what": most, "set": row.prompt_set.name})
        links.append({"words": f"Import it as {most}", "address": f"{reverse('sampling:import_new')}?{query}"})
    return links


@dataclass
class PostedSettings:
    """The settings as a person sent them, by whichever button."""

    row: DataImport
    form: SettingsForm
    to_store: Any
    steps: PostedSteps
    pressed: str  # the button: LOOK, SAVE, or none of these where it only changes the steps
    name: str  # under which the steps are to be saved
    name_problem: str = ""

    def is_valid(self) -> bool:
        return all([self.form.is_valid(), self.to_store.is_valid(), not steps_problem(self.steps)])

    @property
    def is_refused(self) -> bool:
        return bool(self.name_problem) or (self.pressed == LOOK and (bool(self.form.errors) or not self.is_valid()))

    def refuse(self, error: ValidationError) -> None:
        """What is wrong with the filters, say, stands at the head of the form."""
        self.form.add_error(None, error.messages)

    def options(self) -> Options:
        return self.form.changed_options(steps=self.steps, store=as_json(self.to_store.cleaned_data))

    def context(self) -> dict[str, Any]:
        saving = {"filter_set_name": self.name, "filter_set_problem": self.name_problem}
        return _settings(self.row, self.form, self.to_store, self.steps) | saving | _would(self.row)


def posted_settings(row: DataImport, post: QueryDict) -> PostedSettings:
    steps = steps_from(post)
    pressed = "" if steps.is_edit else next((button for button in (SAVE, LOOK) if button in post), "")
    name = post.get("filter_set_name", "").strip()
    form = SettingsForm(post, seen=row.seen, options=options_of(row.options), what=row.what)
    return PostedSettings(row, form, store_form(row.what, post), steps, pressed, name)


def as_json(answers: Mapping[str, Any]) -> dict[str, Any]:
    """What a store's form was told, as an import's options can hold it."""
    return {name: getattr(value, "pk", value) for name, value in answers.items()}


# --- after it came in -------------------------------------------------------------------------------------------


def outcome(row: DataImport, query: QueryDict) -> dict[str, Any]:
    """What came of it, and what was left out; nothing before it has begun to come in."""
    found: dict[str, Any] = {}
    stage = showing.stage_of(row)
    if stage == Stage.BROUGHT or (stage == Stage.STOPPED and row.doing == Doing.UNDO):
        found["onward"] = onward(row)
        found["opened_in"] = opened_in(row)
        found["broke_off"] = broke_off(row)
    if (row.rejected_count or row.filtered_count) and row.is_over:
        found["listing"] = listing(
            row, why=query.get("why", ""), reason=query.get("reason", ""), page=query.get("page")
        )
    return found


def broke_off(row: DataImport) -> list[str]:
    """That the source ended before its end: what was brought in is not all that there was of it.

    As the look says it. Where that did not come so far, or there was none, the last rows that were rejected tell.
    """
    if told := [each for each in row.seen.get("problems", ()) if BREAKS_OFF in each]:
        return told
    last = row.left_out.filter(why=LeftOut.REJECTED).order_by("-line")[:ROWS_LOOKED_BACK]
    broken = [each for each in last if any(words in each.reason for words in NOT_WHOLE) or _is_cut(row, each)]
    return [breaks_off(each.line - 1, each.reason) for each in broken[::-1][:BROKEN_SHOWN]]


def _is_cut(row: DataImport, last: LeftOutRow) -> bool:
    """Whether the source's last row is the beginning of one."""
    content = last.content.strip()
    return last.line == row.next_row and NOT_JSON in last.reason and content[:1] == "{" and content[-1:] != "}"


def opened_in(row: DataImport) -> list[dict[str, str]]:
    """Each project, with the address at which comparisons of these completions are opened in it."""
    if row.what != "completions" or not Completion.objects.filter(data_import=row).exists():
        return []
    query = f"?run=import-{row.pk}"
    return [
        {"words": str(each), "address": reverse("annotation:open_comparisons", args=[each.slug]) + query}
        for each in projects()[:PROJECTS_SHOWN]
    ]


def onward(row: DataImport) -> list[dict[str, str]]:
    """What is done next with what came in."""
    to_set = {"words": "See the prompts", "address": row.prompt_set.get_absolute_url()}
    match row.what:
        case "prompts":
            sample = reverse("sampling:sampling_run_new") + f"?set={row.prompt_set_id}"
            return [{"words": "Sample completions", "address": sample}, to_set]
        case "judgments" if project := project_of(row):
            slug = [project.slug]
            return [
                {"words": "See the quality", "address": reverse("annotation:quality", args=slug)},
                {"words": "Freeze a snapshot", "address": reverse("annotation:snapshot_new", args=slug)},
                to_set,
            ]
        case "completions" if not projects().exists():
            return [{"words": "Make a project", "address": reverse("annotation:project_new")}, to_set]
        case _:
            return [to_set]
