"""Prompts, model versions and what they wrote."""

from sampling.models.completions import Completion, CompletionQuerySet, Origin
from sampling.models.imports import PromptImport
from sampling.models.prompts import Prompt, PromptSet, PromptSetQuerySet, Split
from sampling.models.runs import MAX_TEMPERATURE, SamplingRun
from sampling.models.versions import ModelRole, ModelVersion, ModelVersionQuerySet

__all__ = [
    "MAX_TEMPERATURE",
    "Completion",
    "CompletionQuerySet",
    "ModelRole",
    "ModelVersion",
    "ModelVersionQuerySet",
    "Origin",
    "Prompt",
    "PromptImport",
    "PromptSet",
    "PromptSetQuerySet",
    "SamplingRun",
    "Split",
]
