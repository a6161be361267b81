"""What a web process loads, seen from a fresh one."""

import subprocess
import sys
from pathlib import Path

LOADED = """
import importlib, os, pkgutil, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
from config.wsgi import application
from django.urls import get_resolver
assert len(get_resolver().url_patterns) > 3
OTHERS = {"engine", "pipeline", "figures", "demo", "management", "migrations"}  # what programs and workers load
def load(package):
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        name = f"{package}.{module.name}"
        if not module.ispkg:
            importlib.import_module(name)
        elif module.name not in OTHERS:
            load(name)
for app in ("sampling", "annotation", "training"):
    load(app)
print(",".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_a_web_process_loads_neither_torch_nor_vllm():
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    loaded = set(done.stdout.strip().splitlines()[-1].split(","))
    assert {"django", "annotation", "sampling", "training"} <= loaded
    heavy = {"torch", "vllm", "transformers", "trl", "peft", "accelerate", "datasets", "numpy", "scipy", "pandas"}
    assert not heavy & loaded
