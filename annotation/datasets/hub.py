"""Pushes an export to a dataset hub: Hugging Face's, or whichever HF_ENDPOINT names. Workers only: it needs a network.

The token is read from HF_TOKEN by huggingface_hub itself; it is never stored, nor shown.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from annotation.datasets.withdrawn import MARK

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


class PushRefused(Exception):
    """The push cannot be done, or the hub does not take it; the message says the remedy."""


def check_id(hub_id: str) -> None:
    """Raise PushRefused for what is no name of a hub's dataset."""
    if not _ID.fullmatch(hub_id):
        raise PushRefused(f'"{hub_id[:100]}" is no dataset of a hub. Write owner/name, as in "acme/preferences-june".')


def push(
    *,
    directory: Path,
    names: Sequence[str],
    hub_id: str,
    mark: bytes = b"",
    is_private: bool = True,
    message: str = "",
) -> str:
    """Make the dataset where there is none, upload these files, and return the address of the commit.

    ``mark``: what goes beside them as WITHDRAWN.md, before them; where there is nothing to say, an earlier one goes.
    ``is_private`` decides about a dataset that is made now: one that is there keeps what it is. Raises PushRefused.
    """
    check_id(hub_id)
    if not os.environ.get("HF_TOKEN"):
        raise PushRefused(
            "There is no token for the hub: the environment variable HF_TOKEN is empty. Make a token with the right to "
            "write, start the workers with it, and retry."
        )
    from httpx2 import HTTPError  # what huggingface_hub's own client raises where there is no way to the hub
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        api = HfApi()
        api.create_repo(hub_id, repo_type="dataset", private=is_private, exist_ok=True)
        if mark:
            api.upload_file(path_or_fileobj=mark, path_in_repo=MARK, repo_id=hub_id, repo_type="dataset")
        commit = api.upload_folder(
            repo_id=hub_id, repo_type="dataset", folder_path=str(directory), commit_message=message or "Export",
            allow_patterns=list(names),
            # Of an earlier push, as files of another type.
            delete_patterns=["train.*", "eval.*", *([] if mark else [MARK])],
        )  # fmt: skip
    except OfflineModeIsEnabled as error:
        raise PushRefused(
            "The hub is switched off here by HF_HUB_OFFLINE=1. Unset it for the workers, and retry."
        ) from error
    except HfHubHTTPError as error:
        raise PushRefused(_refused(hub_id, error)) from error
    except (OSError, HTTPError) as error:  # no network, no name, a connection that broke
        raise PushRefused(
            f"The hub cannot be reached: {error}. See whether this machine has a way to it, then retry; the files "
            "themselves are made and can be downloaded."
        ) from error
    return str(getattr(commit, "commit_url", commit))


def _refused(hub_id: str, error) -> str:
    status = getattr(error.response, "status_code", None)
    if status in (401, 403):
        return (
            f"The hub does not let this token write to {hub_id}. Make HF_TOKEN one with the right to write there, or "
            "name another owner, and retry."
        )
    return f"The hub refused {hub_id} ({status}): {error}. Retry later, or name another dataset."
