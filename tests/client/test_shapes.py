"""The client's types are those of the site's own schema: every key, and whether it may be null."""

import types
import typing

import pytest
from drf_spectacular.generators import SchemaGenerator

from tests.client.client import whetstone

# The client's name of a shape -> the schema's.
SHAPES = {
    "PromptSet": "PromptSetShown", "Prompt": "PromptShown", "Import": "ImportShown", "ImportFull": "ImportFull",
    "LeftOut": "LeftOutShown", "FilterSet": "FilterSetShown", "Curation": "CurationShown",
    "Model": "ModelVersionShown", "SamplingRun": "SamplingRunShown", "Completion": "CompletionShown",
    "Project": "ProjectShown", "ProjectSettings": "ProjectSettings", "Counted": "Counted", "Opened": "Opened",
    "Answer": "AnswerShown", "ShownCompletion": "Candidate", "Assignment": "AssignmentShown",
    "OwnAnswer": "OwnAnswerShown",
    "Comparison": "ComparisonShort", "Member": "MemberShown", "Invitation": "InvitationShown",
    "InvitationMade": "InvitationMade", "Flag": "FlagShown", "Guidelines": "GuidelinesShown",
    "Judgment": "JudgmentShown", "SnapshotShort": "SnapshotShown", "Snapshot": "SnapshotFull", "Freeze": "FreezeShown",
    "ExportFile": "ExportFile", "Export": "ExportShown", "Withdrawal": "WithdrawalShown",
    "SnapshotNamed": "SnapshotNamed", "RoundShort": "RoundShort", "Round": "RoundFull",
    "StageProgress": "StageProgress", "Stage": "StageShown", "Estimate": "Estimate", "Check": "CheckShown",
    "Recipe": "RecipeShown", "DemonstrationSet": "DemonstrationSetShown", "BlindTest": "BlindTestShown",
    "Learned": "LearnedShown", "Token": "TokenShown", "Webhook": "WebhookShown", "Delivery": "DeliveryShown",
    "RowResult": "RowResult", "Lettered": "Lettered", "JudgedInLetters": "JudgedInLetters",
    "ComparisonFull": "ComparisonShown", "Quality": "Quality", "OwnFlag": "OwnFlag", "Feedback": "FeedbackShown",
    "Timing": "Timing", "StageTimed": "StageTimed", "PhaseTimed": "PhaseTimed",
    "FoundNow": "FoundNow", "PairsNow": "PairsNow", "Preview": "PreviewShown",
}  # fmt: skip
NAMED_OTHERWISE = {"Message"}  # a message is any object of texts to the schema


@pytest.fixture(scope="module")
def components():
    return SchemaGenerator().get_schema(request=None, public=True)["components"]["schemas"]


@pytest.mark.parametrize("name", list(SHAPES))
def test_a_shape_has_the_keys_of_the_schema(components, name):
    ours = typing.get_type_hints(getattr(whetstone, name))
    theirs = components[SHAPES[name]]["properties"]
    assert set(ours) == set(theirs)
    assert {key for key in ours if may_be_null(ours[key])} == {key for key in theirs if is_nullable(theirs[key])}


def test_every_shape_is_held_to_the_schema():
    ours = {name for name, found in vars(whetstone).items() if typing.is_typeddict(found)}
    assert ours == set(SHAPES) | NAMED_OTHERWISE


def may_be_null(hint) -> bool:
    return isinstance(hint, types.UnionType) and type(None) in hint.__args__


def is_nullable(schema) -> bool:
    kinds = schema.get("type", [])
    if "oneOf" in schema or "anyOf" in schema:
        return any(is_nullable(each) for each in schema.get("oneOf", schema.get("anyOf")))
    return "null" in kinds
