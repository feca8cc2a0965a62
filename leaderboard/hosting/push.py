"""Upload of a site to a static Space of the Hugging Face Hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from leaderboard.site import SiteError, is_site
from talkingpose.io.hub import hub_errors

_README = """---
title: "{title}"
sdk: static
app_file: index.html
pinned: false
---

A board of TalkingPose Bench. Every run was checked by its own files; `data.json` has the documents.
"""
_SPACE = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)


def push_site(site: Path, space: str, *, private: bool = False, api: Any = None) -> str:
    """Upload a site; files of an earlier site that are no longer in it are deleted.

    Args:
        site: folder that `tp-leaderboard` wrote.
        space: `USER/NAME`; it is created where it does not exist.
        private: for a Space that is created.
        api: a `huggingface_hub.HfApi`; by default one with the token of `hf auth login`.

    Returns:
        Address of the Space.

    Raises:
        SiteError: the folder is no site, the name is none of a Space, or the Hub refuses or is not
            reached.
    """
    if not is_site(site):
        remedy = f"build one with tp-leaderboard RUN... --out {site}"
        raise SiteError(f"{site}: not a site of tp-leaderboard: {remedy}")
    if _SPACE.fullmatch(space) is None:
        raise SiteError(f"{space}: not the name of a Space: give USER/NAME")
    from huggingface_hub import HfApi

    api = api or HfApi()
    with hub_errors(space, SiteError):
        api.create_repo(space, repo_type="space", space_sdk="static", private=private, exist_ok=True)
        api.upload_folder(
            repo_id=space,
            repo_type="space",
            folder_path=str(site),
            delete_patterns=["media/*", "pages/*", "runs/*", "assets/*"],
            commit_message="Board",
        )
        api.upload_file(
            path_or_fileobj=_README.format(title=space.partition("/")[2]).encode(),
            path_in_repo="README.md",
            repo_id=space,
            repo_type="space",
            commit_message="Card of the Space",
        )
    return f"https://huggingface.co/spaces/{space}"
