"""The notebook, cell by cell, against a site as `make run` starts it, with the real demo model.

The cells are carried out one after the other in one namespace: nbclient would bring Jupyter's kernels, thirty packages
more, to do the same.
"""

import json
import re

import httpx
import pytest

from tests.client.client import FOLDER
from tests.config.test_serve import Installation, installation, wait_until  # noqa: F401 (a fixture)

NOTEBOOK = FOLDER / "the_loop.ipynb"


def cells() -> list[str]:
    notebook = json.loads(NOTEBOOK.read_text())
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def carried_out() -> dict:
    namespace: dict = {"__name__": "__main__"}
    for number, source in enumerate(cells(), start=1):
        exec(compile(source, f"{NOTEBOOK.name}, cell {number}", "exec"), namespace)
    return namespace


def token_of_the_administrator(site: Installation) -> str:
    """Sign in with the password that the first start printed, and make a token on the page of tokens."""
    password = re.search(r"User name: admin {3}password: (\S+)", site.said())[1]
    url = f"http://127.0.0.1:{site.port}"
    with httpx.Client(base_url=url, follow_redirects=True, trust_env=False) as browser:

        def send(address: str, **fields: object) -> str:
            browser.get(address)
            fields["csrfmiddlewaretoken"] = browser.cookies["csrftoken"]
            return browser.post(address, data=fields, headers={"Referer": f"{url}{address}"}).text

        send("/sign-in/", username="admin", password=password)
        scopes = ["read", "annotate", "import", "export", "manage", "train", "webhooks"]
        page = send("/tokens/new/", name="notebook", days=1, scopes=scopes)
    return re.search(r"wst_[\w-]{40,}", page)[0]


def test_the_notebook_is_committed_without_what_it_printed():
    notebook = json.loads(NOTEBOOK.read_text())
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in notebook["cells"])


@pytest.mark.slow
@pytest.mark.whole_machine
def test_the_notebook_closes_the_loop(installation, demo_model, monkeypatch, tmp_path, capsys):  # noqa: F811
    served = installation.serve()
    wait_until(lambda: "Whetstone is at" in installation.said())
    monkeypatch.setenv("WHETSTONE_URL", f"http://127.0.0.1:{installation.port}")
    monkeypatch.setenv("WHETSTONE_TOKEN", token_of_the_administrator(installation))
    monkeypatch.setenv("WHETSTONE_MODEL", str(demo_model))
    monkeypatch.setenv("WHETSTONE_NOTEBOOK_FOLDER", str(tmp_path / "notebook"))
    monkeypatch.syspath_prepend(str(FOLDER))

    done = carried_out()

    assert done["imported"]["prompts_added"] == 16
    assert done["imported"]["rejected_count"] == 1
    assert done["judged"] == done["snapshot"]["counts"]["judgments"]
    assert len(done["dataset"]["train"]) == done["snapshot"]["counts"]["pairs_train"]
    assert done["policy"]["published_at"]
    assert done["policy"]["name"] in [version["version"] for version in done["learned"]["versions"]]
    assert "<polyline" in done["picture"]._repr_svg_()
    assert "prompts; left out:" in capsys.readouterr().out
    served.terminate()
    assert served.wait(timeout=60) == 0
