"""Bob's ranking page in a real browser; the browser itself is everybody's: tests/browsers.py."""

import pytest
from django.urls import reverse

from annotation import actions


@pytest.fixture
def open_page(new_page, project, write, bob):
    """open_page(**context options): Bob's ranking page, with three comparisons waiting."""

    def open_page(path=None, comparisons=3, k=4, **options):
        actions.open_comparisons(project=project, completions=write(TEXTS[:k], prompts=comparisons), k=k)
        return new_page(bob, path or reverse("annotation:annotate", args=[project.slug]), **options)

    return open_page


TEXTS = [
    "Paris.", "It is **Paris**, of course.", "I do not know.", "Lyon, I think.", "The capital is Paris, on the Seine.",
    "Marseille!", "Ask me another day.", "`Paris`", "Nice is nice.",
]  # fmt: skip
