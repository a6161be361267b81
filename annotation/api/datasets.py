"""Snapshots, their freezing, their exports, and withdrawn work."""

from dataclasses import asdict
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Count, QuerySet
from django.http import HttpResponseBase
from django.urls import reverse
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.actions import exports, freezes, withdrawals
from annotation.api import visible
from annotation.datasets import hashing, hub
from annotation.datasets.card_front import LICENCES
from annotation.datasets.choice import Choice, SnapshotRefused
from annotation.datasets.chosen import why_nothing
from annotation.datasets.export_files import described
from annotation.datasets.export_rows import Rows
from annotation.datasets.export_views import CONTENT_TYPES, served_file
from annotation.datasets.exports import ExportRefused
from annotation.datasets.layouts import DEFAULT, LAYOUTS, FileType
from annotation.datasets.preview import preview_of
from annotation.datasets.reading import CompletionLost
from annotation.datasets.withdrawn import withdrawn_in
from annotation.models import DatasetSnapshot, JudgeKind, SnapshotExport, SnapshotFreeze, WithdrawnWork
from annotation.rules.aggregation import LEVELS, Aggregation, OneRowPer
from annotation.rules.ranking import Strength
from sampling.long_tasks import TaskState
from sampling.models import Scope
from sampling.rest.fields import Named
from sampling.rest.problems import Conflict
from sampling.rest.views import SiteResource
