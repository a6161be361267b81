"""Scripts as an installation serves them."""

import re
from pathlib import Path

from django.core.management import call_command


def test_a_script_imports_its_parts_by_names_that_change_with_their_content(settings, tmp_path):
    backend = {"BACKEND": "config.static_files.StaticFiles"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": backend}
    settings.STATIC_ROOT = tmp_path
    call_command("collectstatic", interactive=False, verbosity=0)
    (script,) = (path for path in tmp_path.glob("js/ranking.*.js") if re.fullmatch(r"ranking\.\w{12}\.js", path.name))
    imported = re.findall(r'from "(\./ranking/[^"]+)"', script.read_text())
    assert len(imported) == len(list(Path("static/js/ranking").glob("*.js")))
    for name in imported:
        assert re.fullmatch(r"\./ranking/\w+\.\w{12}\.js", name)
        assert (script.parent / name).exists()
