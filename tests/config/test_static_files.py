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
    parts, waiting = set(), [script]
    while waiting:  # each part imports further ones
        importer = waiting.pop()
        for name in re.findall(r'from "(\.[^"]+)"', importer.read_text()):
            part = (importer.parent / name).resolve()
            assert re.fullmatch(r"\w+\.\w{12}\.js", part.name), f"{importer.name} imports {name}"
            assert part.exists()
            waiting += [part] if part not in parts else []
            parts.add(part)
    assert len(parts) == len(list(Path("static/js/ranking").glob("*.js")))
