"""Prompts, model versions and what they wrote."""

from sampling.models.api_access import ApiToken, IdempotentRequest, Scope
from sampling.models.completions import Completion, CompletionQuerySet, Origin
from sampling.models.imports import Curation, DataImport, Doing, FilterSet, LeftOut, LeftOutRow, SourceKind
from sampling.models.prompts import Prompt, PromptSet, PromptSetQuerySet, Split
from sampling.models.runs import MAX_TEMPERATURE, SamplingRun
from sampling.models.versions import ModelRole, ModelVersion, ModelVersionQuerySet
from sampling.models.webhooks import Delivery, DeliveryState, Event, Webhook

__all__ = [
    "MAX_TEMPERATURE",
    "ApiToken",
    "Completion",
    "CompletionQuerySet",
    "Curation",
    "DataImport",
    "Delivery",
    "DeliveryState",
    "Doing",
    "Event",
    "FilterSet",
    "IdempotentRequest",
    "LeftOut",
    "LeftOutRow",
    "ModelRole",
    "ModelVersion",
    "ModelVersionQuerySet",
    "Origin",
    "Prompt",
    "PromptSet",
    "PromptSetQuerySet",
    "SamplingRun",
    "Scope",
    "SourceKind",
    "Split",
    "Webhook",
]
