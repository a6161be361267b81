"""The client's one file, imported from where its users find it: docs is no package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[2] / "docs" / "client"


def _imported() -> ModuleType:
    spec = importlib.util.spec_from_file_location("whetstone", FOLDER / "whetstone.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["whetstone"] = module  # the notebook's import finds it too
    spec.loader.exec_module(module)
    return module


whetstone = _imported()
