"""Rounds, their stages, and what belongs to them."""

from training.models.blind_tests import BlindTest
from training.models.checks import LaunchCheck
from training.models.demonstrations import DemonstrationSet
from training.models.rounds import Stage, StageKind, StageState, TrainingRound

__all__ = ["BlindTest", "DemonstrationSet", "LaunchCheck", "Stage", "StageKind", "StageState", "TrainingRound"]
