"""Every page of the site, with something on it: nothing for axe-core to find, and nothing wider than the screen."""

import io
import uuid
from datetime import timedelta

import pytest
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone

from annotation import actions
from annotation.actions import exports, reports, review
from annotation.datasets.snapshots import choice_of, freeze_snapshot
from annotation.models import AssignmentState, JudgeKind, ProjectReport, Role, SnapshotFreeze
from annotation.rules.marks import Mark
from sampling.actions import create_sampling_run
from sampling.curation import actions as curation
from sampling.curation.filters import FILTERS
from sampling.long_tasks import TaskState
from sampling.models import ApiToken, Delivery, Event, Scope
from sampling.rest.tokens import create_token, revoke_token
from sampling.webhooks import actions as webhooks
from tests.annotation.browser.pages import PHONE, assert_accessible
from tests.annotation.judged import known, make_user
from tests.sampling.importing.seen import imports_of_each_stage
from tests.training import checks
from tests.training.launching import fake_check
from tests.training.rounds import launch_for_tests, make_policy, make_snapshot
from tests.training.watching import written
from training.actions import import_demonstrations, requested_check
from training.launching import checking
from training.models import StageKind

DESKTOP = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"}

# What answers to GET with something else than a page of its own: files, plain text, redirects, parts of pages.
NO_PAGES = {
    "annotation:annotators_csv", "annotation:comparison_text", "annotation:next_disagreement", "annotation:previous",
    "annotation:project_try", "annotation:quality_status", "sampling:api_client",
    "sampling:import_rejects", "sampling:import_settings",
    "annotation:snapshot_download", "annotation:snapshot_export_file", "annotation:snapshot_exports", "annotation:text",
    "training:estimate",
    "training:dropped_file", "training:lineage_json", "training:lineage_judgments_file", "training:model_card",
}  # fmt: skip
POSTED = {
    "annotation:ahead", "annotation:ask_another", "annotation:comparison_priority", "annotation:decide",
    "annotation:draft", "annotation:flag", "annotation:flag_resolve", "annotation:guidelines_read",
    "annotation:invitation_new",
    "annotation:member_qualification", "annotation:quality_update", "annotation:renew", "annotation:skip",
    "annotation:snapshot_export_cancel", "annotation:snapshot_export_push", "annotation:snapshot_export_retry",
    "annotation:snapshot_freeze_cancel", "annotation:snapshot_freeze_retry",
    "annotation:submit", "logout", "sampling:import_cancel", "sampling:import_retry", "sampling:import_start",
    "sampling:curation_cancel", "sampling:curation_keep", "sampling:curation_retry",
    "sampling:sampling_run_cancel", "sampling:sampling_run_retry",
    "sampling:api_token_revoke", "sampling:delivery_again", "sampling:webhook_ping",
    "training:blind_test_open", "training:round_retry",
}  # fmt: skip
PLAIN = [
    "annotation:home", "annotation:project_new", "sampling:prompt_sets", "sampling:models",
    "sampling:filter_sets", "sampling:filter_set_new",
    "sampling:data_imports", "sampling:import_new", "sampling:register_model", "sampling:sampling_runs",
    "sampling:sampling_run_new", "sampling:api_tokens", "sampling:api_token_new", "sampling:webhooks",
    "sampling:webhook_new", "training:rounds",
    "training:round_new", "training:demonstration_sets",
]  # fmt: skip
OF_A_PROJECT = [
    "project", "project_settings", "project_pause", "fit", "open_comparisons", "members", "history",
    "quality", "comparisons", "flags", "skips", "known_answers", "snapshots", "snapshot_new",
]  # fmt: skip
OF_A_COMPARISON = ["comparison", "comparison_withdraw", "known_answer"]
OF_A_MEMBER = ["member", "member_remove"]
OF_AN_ANNOTATOR = ["annotate", "answers", "guidelines"]
OF_AN_ASSIGNMENT = ["assignment", "diff"]
# Django's admin; and the API, which answers programs, with a page of Swagger UI for people.
NOT_OURS = ("admin/", "api/")
STAGES_LOOKED_AT = ("check", "reward_model", "rejection_sampling", "dpo", "evaluate", "harness")
OTHERS = {
    "annotation:annotator", "annotation:back_to_work", "annotation:feedback", "annotation:invitation_revoke",
    "annotation:join", "annotation:snapshot", "annotation:snapshot_export", "annotation:snapshot_freeze", "login",
    "annotation:withdraw_work",
    "sampling:model_version", "sampling:data_import",
    "sampling:curation", "sampling:curation_new", "sampling:filter_set", "sampling:filter_set_delete",
    "sampling:import_undo", "sampling:prompt_set", "sampling:sampling_run", "sampling:webhook",
    "sampling:webhook_delete", "training:answers", "training:blind_tests",
    "training:check_dropped", "training:demonstration_set", "training:dropped", "training:learned_from",
    "training:lineage", "training:lineage_judgments", "training:round", "training:round_cancel", "training:round_log",
    "training:round_overrule", "training:rounds_compared",
}  # fmt: skip


def names(resolver, prefix=""):
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLPattern):
            yield f"{prefix}{pattern.name}"
        elif str(pattern.pattern) not in NOT_OURS:
            yield from names(pattern, f"{pattern.namespace}:" if pattern.namespace else prefix)


def test_every_address_is_looked_at_or_is_no_page():
    of_annotation = [OF_A_PROJECT, OF_A_COMPARISON, OF_A_MEMBER, OF_AN_ANNOTATOR, OF_AN_ASSIGNMENT]
    known_names = {f"annotation:{name}" for group in of_annotation for name in group}
    assert set(names(get_resolver())) == known_names | set(PLAIN) | OTHERS | NO_PAGES | POSTED


def judge(project, annotator, *, best_first=True):
    held = actions.claim_next(project=project, annotator=annotator)
    groups = [[pk] for pk in sorted(held.display_order, reverse=not best_first)]
    marks = {pk: Mark(aspects={aspect["key"]: 2 for aspect in project.aspects}) for pk in held.display_order}
    answer = actions.Answer(groups, ["better"] * (len(groups) - 1), marks, rationale="It is true.", seconds_spent=40)
    actions.submit_judgment(assignment=held, annotator=annotator, answer=answer, request_key=uuid.uuid4())
    return held


@pytest.fixture
def busy(project, write, alice, bob, charlie):
    """Two who disagree, a skip, a flag, each kind of known answer, a decision, an invitation, and computed figures."""
    project.overlap, project.gold_percent, project.show_length = 2, 10, True
    project.aspects = [{"key": "tone", "label": "Tone", "lowest": 0, "highest": 4, "low_label": "a", "high_label": "b"}]
    project.defects = [{"key": "short", "label": "Too short"}]
    actions.save_settings(project=project, by=alice)
    actions.open_comparisons(project=project, completions=write(), k=4)
    (disputed,) = project.comparisons.all()
    actions.add_member(project=project, user=charlie, role=Role.REVIEWER, groups=["law", "a long name of a group"])
    judge(project, bob)
    judge(project, charlie, best_first=False)
    actions.open_comparisons(project=project, completions=write(prompts=6), k=4)
    actions.skip(
        assignment=actions.claim_next(project=project, annotator=charlie), annotator=charlie,
        reason="I cannot judge this, because I know nothing about it at all",
    )  # fmt: skip
    unseen = list(project.comparisons.filter(assignments__isnull=True))
    for purpose, comparison in zip(("training", "gold", "qualification"), unseen, strict=False):
        known(comparison, purpose).slots.all().delete()
    review.open_review(comparison=disputed, reviewer=alice)
    actions.raise_flag(assignment=disputed.assignments.get(annotator=bob), annotator=bob, note="Which capital?")
    actions.publish_guidelines(project=project, text="Prefer *truth*, then brevity.", by=alice)
    report = ProjectReport.objects.create(project=project, requested_at=timezone.now())
    assert reports.compute_report(report=report)
    return project


def checked(policy, snapshot):
    """A check that found something, with a list of what would be left out."""
    check = requested_check(asked=checks.asked(policy, snapshot, recipe="smoke"), enqueue=False)
    check.take()
    check.end(TaskState.FINISHED, result=fake_check.FINE)
    written.lines(checking.program_dir(check) / "dropped.jsonl", fake_check.DROPPED)
    return check


def demonstrations():
    lines = b'{"prompt": "Why?", "completion": "<script>alert(1)</script>"}\n<script>alert(2)</script>\n'
    return import_demonstrations(name="tulu", file=io.BytesIO(lines), file_name="tulu.jsonl")


def made_by_dpo(round, version):
    """As if the round's stage had left it, with all that a stage says of itself."""
    version.parent = round.base_policy
    version.save(update_fields=["parent"])
    provenance = {
        "code": {"version": "0.1", "commit": "8101694", "dirty": True}, "libraries": {"torch": "2.13.0"},
        "hardware": {"cpu": "A processor with a rather long name @ 2.80GHz", "cores": 2, "gpus": []},
        "threads": 2, "precision": "bf16", "not_deterministic": ["Sums on a GPU come in any order."],
    }  # fmt: skip
    round.stages.filter(kind=StageKind.DPO).update(state="finished", model_version=version, provenance=provenance)


def exported(snapshot):
    """The pages of exports in each state: made, waiting, running, and a push that failed."""
    made = exports.execute_export(export=exports.request_export(snapshot=snapshot, rows="judgment", enqueue=False))
    waiting = exports.request_export(snapshot=snapshot, rows="majority", enqueue=False)
    running = exports.request_export(snapshot=snapshot, rows="majority", file_type="parquet", enqueue=False)
    running.take()
    running.beat(done=3, total=9, phase="writing")
    push = exports.request_export(snapshot=snapshot, rows="judgment", hub_id="acme/june", enqueue=False)
    push.take()
    push.end(TaskState.FAILED, failure="The hub cannot be reached: <no way>. See whether there is a way to it.")
    return [each.get_absolute_url() for each in (made, waiting, running, push)]


def freezing(project):
    choice = choice_of(project, ["person"], "a-rather-long-name-of-a-snapshot")
    return SnapshotFreeze.objects.create(project=project, name=choice.name, asked=choice.as_json())


def behind(snapshot):
    judgment = snapshot.judgments.filter(comparison__prompt__split="train").first()
    return {"judgment": judgment.pk, "annotator": judgment.annotator_id, "prompt": judgment.comparison.prompt_id}


def curated(prompt_set):
    """The pages of filters: saved ones, a run over a set, one that failed, and the form with every filter in it."""
    told = {"turns": {"most": 3}, "languages": {"languages": "en"}, "categories": {"key": "topic", "values": "<b>"}}
    told["tokens"] = {"least": 2}
    steps = [{"filter": key} | told.get(key, {}) for key in FILTERS]
    saved = curation.save_filter_set(name="a rather long name of saved filters", steps=steps)
    looked = curation.create_curation(prompt_set=prompt_set, steps=[steps[0], steps[5]], enqueue=False)
    curation.curate_now(curation=looked)
    failed = curation.create_curation(
        prompt_set=prompt_set, steps=[{"filter": "tokens", "most": 1, "tokenizer": "gone"}], enqueue=False
    )
    curation.execute(curation=failed)
    change = reverse("sampling:curation_new", args=[prompt_set.pk]) + f"?from={looked.pk}"
    delete = reverse("sampling:filter_set_delete", args=[saved.pk])
    return [saved.get_absolute_url(), delete, change, looked.get_absolute_url(), failed.get_absolute_url()]


def tokens_and_webhooks(alice):
    """Each kind of token in the list; the pages of a webhook with each kind of delivery."""
    create_token(user=alice, name="a rather long name of a notebook on somebody's laptop", scopes=Scope.values)
    revoke_token(token=create_token(user=alice, name="revoked", scopes=[Scope.READ])[0])
    old, _ = create_token(user=alice, name="old", scopes=[Scope.READ])
    ApiToken.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(days=1))
    url = f"https://example.org/{'long' * 20}"
    webhook = webhooks.create_webhook(url=url, events=[event.value for event in webhooks.subscribable()])
    came_of_it = {"state": "failed", "attempts": 9, "last_status": 500, "last_error": f"<b>{'Fault' * 30}"}
    for each in ({}, came_of_it, {"state": "delivered", "attempts": 1, "last_status": 200}):
        Delivery.objects.create(webhook=webhook, event=Event.COMPARISON_COMPLETED, payload={}, **each)
    return [webhook.get_absolute_url(), reverse("sampling:webhook_delete", args=[webhook.pk])]


def addresses(project, alice, bob, tmp_path):
    """By who looks at them; and those for whom nobody is signed in."""

    def of(name, *args):
        return reverse(name if ":" in name or name == "login" else f"annotation:{name}", args=args)

    disputed = project.comparisons.filter(flags__isnull=False).get()
    gold = project.comparisons.get(purpose="gold")
    member = project.memberships.get(user=bob)
    invitation, token = actions.create_invitation(
        project=project, role=Role.ANNOTATOR, expires_at=timezone.now() + timedelta(days=1), request_key=uuid.uuid4()
    )
    snapshot = freeze_snapshot(project=project, name="june", kinds=[JudgeKind.PERSON])
    policy = make_policy(tmp_path / "policy")
    trained = launch_for_tests("r1", policy, make_snapshot())
    watched = launch_for_tests("r2", policy, trained.snapshot)
    learned = make_policy(tmp_path / "new", "r2-dpo")
    written.finish_round(watched, learned)
    made_by_dpo(watched, learned)
    prompt_set = disputed.prompt.prompt_set
    run = create_sampling_run(prompt_set=prompt_set, policies=[policy], n=2, enqueue=False)
    imports = imports_of_each_stage(prompt_set, alice)
    training = judge(project, bob)  # the training item: it comes first
    held = actions.claim_next(project=project, annotator=bob)
    staff = [
        *(of(name) for name in PLAIN),
        of("project_new") + "?preset=instructgpt",
        *(of(name, project.slug) for name in OF_A_PROJECT),
        *(of(name, each.pk) for name in OF_A_COMPARISON for each in (disputed, gold)),
        *(of(name, project.slug, member.pk) for name in OF_A_MEMBER),
        of("annotator", project.slug, bob.pk),
        of("back_to_work", gold.pk),
        of("invitation_revoke", project.slug, invitation.pk),
        of("snapshot", snapshot.pk),
        of("snapshot_freeze", freezing(project).pk),
        of("withdraw_work", bob.pk),
        *exported(snapshot),
        of("sampling:model_version", policy.pk),
        *(of("sampling:import_new") + f"?what={what}" for what in ("prompts", "completions", "judgments")),
        *(each.get_absolute_url() for each in imports),
        *(of("sampling:import_undo", each.pk) for each in imports),
        of("sampling:prompt_set", prompt_set.pk),
        *tokens_and_webhooks(alice),
        *curated(prompt_set),
        of("sampling:sampling_run", run.pk),
        of("training:round", trained.pk),
        of("training:round_cancel", trained.pk),
        of("training:blind_tests", trained.pk),
        of("training:answers", watched.pk),
        of("training:check_dropped", checked(policy, trained.snapshot).pk),
        of("training:demonstration_set", demonstrations().pk),
        of("training:round_log", trained.pk, StageKind.SFT),
        *(of("training:round", watched.pk) + f"?stage={kind}" for kind in STAGES_LOOKED_AT),
        of("training:round_overrule", watched.pk),
        of("training:dropped", watched.pk, StageKind.DPO),
        of("training:rounds_compared") + f"?round={trained.pk}&round={watched.pk}",
        of("training:rounds_compared"),  # 422: none were chosen
        of("training:lineage", learned.pk),
        of("training:lineage_judgments", learned.pk),
        of("training:lineage_judgments", policy.pk),  # nothing is behind it
        *(of("training:learned_from", what, pk) for what, pk in behind(trained.snapshot).items()),
        of("training:learned_from", "annotator", bob.pk),  # nothing came of it
    ]
    own = [
        of("home"),
        *(of(name, project.slug) for name in OF_AN_ANNOTATOR),
        *(of(name, held.pk) for name in OF_AN_ASSIGNMENT),
        of("feedback", training.pk),
        of("members", project.slug),  # 403
        "/nothing/here/",  # 404
    ]
    assert training.purpose == "training"
    assert held.state == AssignmentState.HELD
    return {alice: staff, bob: own, make_user("dora"): [of("join", token)]}, [of("login"), of("join", token)]


@pytest.mark.parametrize("options", [DESKTOP, {**PHONE, "color_scheme": "dark"}], ids=["desktop light", "phone dark"])
def test_every_page_is_accessible_and_fits(new_page, live_server, busy, alice, bob, tmp_path, options):
    of_users, public = addresses(busy, alice, bob, tmp_path)
    found = []
    for user, paths in of_users.items():  # one after the other: signing in ends the session before
        page = new_page(user, "/", **options)
        found += faults_of(page, live_server.url, paths)
    page.context.clear_cookies()
    found += faults_of(page, live_server.url, public)
    assert found == []


def faults_of(page, root, paths):
    found = []
    for path in paths:
        response = page.goto(root + path)
        if not page.url.endswith(path):
            found.append(f"{path} leads to {page.url}")
        for details in page.query_selector_all("main details"):
            details.evaluate("each => { each.open = true; }")
        try:
            assert_accessible(page)
        except AssertionError as error:
            found.append(f"{path}: {error}")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > page.viewport_size["width"]:
            found.append(f"{path} is {width} wide")
        if response.status >= 400:
            page.errors.clear()  # the browser logs them
    return found
