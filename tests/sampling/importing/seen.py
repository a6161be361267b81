"""What a look finds, as a worker writes it: hostile, cut, and with a filter that removed something."""

import json

from django.utils import timezone

from sampling.models import DataImport, LeftOutRow

LONG = json.dumps({"prompt": "x" * 3000})[:2000]
FIRST = {
    "prompt": "Why is the sky blue?",
    "chosen": "Rayleigh.",
    "rejected": "<script>alert(1)</script>",
    "source": {"n": 1},
}
SEEN = {
    "format": "trl_preference",
    "formats": ["trl_preference"],
    "columns": ["prompt", "chosen", "rejected", "source"],
    "first_rows": [json.dumps(FIRST), LONG, "not JSON"],
    "first_records": [
        {
            "line": 1,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Why is the sky blue?"},
            ],
            "completions": [
                {"text": "Rayleigh.", "writer": "gpt-x"},
                {"text": "<script>alert(1)</script>", "writer": ""},
            ],
            "judgments": [
                {
                    "groups": [[0], [1]], "strengths": ["significantly_better"], "annotator": "anna", "by": "person",
                    "at": "", "rationale": "It is right.", "all_bad": False,
                }
            ],
            "split": "eval",
            "metadata": "{}",
        }
    ],
    "rows": 12345,
    "records": {"prompts": 11000, "completions": 22000, "judgments": 11000},
    "by_split": {"train": 10000, "eval": 1000},
    "rejected": 12,
    "rejected_first": [
        {"line": 7, "reason": "Not JSON: Expecting value at character 1.", "content": "<script>alert(1)</script>"},
    ],
    "filters": [
        {
            "label": "Duplicates", "gist": "of prompts", "seen": 12333, "removed": 900, "changed": 0,
            "examples": [{"line": 9, "reason": "the same as row 7", "content": "Why?" * 80}],
        },
        {"label": "Length", "gist": "at most 512 tokens", "seen": 11433, "removed": 433, "changed": 0, "examples": []},
    ],
    "problems": ["The source has more than 200,000 rows."],
    "splits": ["train", "test"],
    "subsets": [],
    "is_sample": True,
    "took_seconds": 3.0,
}  # fmt: skip


def imports_of_each_stage(prompt_set, by):
    """One import for each thing that an import's page can be about, by hand."""
    now = timezone.now()
    common = {"prompt_set": prompt_set, "created_by": by, "location": "/nowhere", "name": f"{'long-' * 12}name.jsonl"}
    over = {"state": "finished", "started_at": now, "finished_at": now}
    at_work = {"state": "running", "started_at": now, "heartbeat_at": now, "done": 3, "total": 9}
    steps = [{"filter": "tokens", "most": 512}, {"filter": "languages"}]
    stages = [
        {"what": "judgments", "doing": "look", "seen": SEEN, "options": {"steps": steps}, **over},
        {"what": "prompts", "doing": "look", **at_work, "seen": SEEN},
        {"what": "completions", "doing": "look", **over, "state": "failed", "failure": "No row can be read."},
        {"what": "prompts", "doing": "import", **at_work, "next_row": 1234, "prompts_added": 1234},
        {"what": "prompts", "doing": "import", **over, "prompts_added": 4, "rejected_count": 1, "filtered_count": 1},
        {"what": "prompts", "doing": "undo", **over, "state": "failed", "failure": "It is used.", "prompts_added": 4},
        {"what": "prompts", "doing": "undo", "seen": SEEN, "prompts_added": 4, **over, "undone_at": now},
        {
            "what": "prompts",
            "doing": "import",
            **over,
            "prompts_added": 4,
            "failure": "It was not undone. Its prompts are used by 2 comparisons.",
        },
    ]
    imports = [DataImport.objects.create(**common, **each) for each in stages]
    LeftOutRow.objects.create(
        data_import=imports[4], line=7, why="rejected", reason="Not JSON", content="<script>alert(1)</script>" * 20
    )
    LeftOutRow.objects.create(data_import=imports[4], line=9, why="filtered", reason="The same as row 3.", content="x")
    return imports
