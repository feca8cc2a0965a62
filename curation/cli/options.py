"""Arguments and options that several commands of `tp-curate` share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from talkingpose.io import console

if TYPE_CHECKING:
    from curation.config import Config
    from talkingpose.io.progress import ConsoleProgress
    from talkingpose.io.shard import Shard

Sources = Annotated[
    list[str], typer.Argument(help="Video files, folders, lists (.txt, .csv, .tsv), YouTube ids, URLs.")
]
RemoteSources = Annotated[list[str], typer.Argument(help="Lists (.txt, .csv, .tsv), YouTube ids, URLs.")]
Folder = Annotated[Path, typer.Argument(help="Output folder of `tp-curate run`.")]
Out = Annotated[Path, typer.Option(help="Output folder: a new one, or that of an earlier run.")]
ConfigFile = Annotated[Path | None, typer.Option(help="YAML with what differs from curation/default.yaml.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Worker processes. [default: one per core]")]
Cookies = Annotated[Path | None, typer.Option(help="cookies.txt of a browser; read, never written.")]
Proxy = Annotated[str | None, typer.Option(help="http://HOST:PORT or socks5://HOST:PORT.")]
Rate = Annotated[
    float | None,
    typer.Option(min=0.01, help="Requests per minute of the whole run, all shards together. [default: 20]"),
]
License = Annotated[
    list[str] | None,
    typer.Option("--require-license", help="Licence to require, such as creativecommons; repeatable."),
]
Budget = Annotated[
    float | None, typer.Option("--disk-budget", min=0.001, help="Gigabytes of downloads at a time.")
]
DeleteSources = Annotated[
    bool, typer.Option("--delete-sources", help="Delete a downloaded file once its clips are written.")
]
RetryDead = Annotated[
    bool, typer.Option("--retry-dead", help="Retry sources that were given up or quarantined.")
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N|auto",
        help="Process part I of N, at 1/N of the rate. auto: Slurm array, or RANK and WORLD_SIZE.",
    ),
]
For = Annotated[
    str | None,
    typer.Option("--for", metavar="PROTOCOL", help="Keep only clips that a protocol takes: tp-long@2, ..."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def load_settings(
    config: Path | None,
    rate: float | None = None,
    *,
    pose: str | None = None,
    licenses: list[str] | None = None,
    budget_gb: float | None = None,
    protocol: str | None = None,
    gop: int | None = None,
    audio: bool = False,
) -> Config:
    """Load the configuration with the options of the command line over it."""
    from curation.config import load_config

    loaded = load_config(config, pose=pose)
    if protocol is not None:
        from curation.filters.frames import FramesSettings
        from curation.protocols import min_frames_of

        frames = FramesSettings(min_frames=min_frames_of(protocol))
        loaded = loaded.model_copy(update={"filters": loaded.filters | {"frames": frames}})
    if gop is not None:
        loaded = loaded.model_copy(update={"encode": loaded.encode.model_copy(update={"gop": gop})})
    if audio:
        loaded = loaded.with_audio()
    download = loaded.download.model_dump()
    if rate is not None:
        download["politeness"]["requests_per_minute"] = rate
    if licenses:
        download["prefilter"]["require_license"] = tuple(licenses)
    if budget_gb is not None:
        download["disk"]["budget_gb"] = budget_gb
    return loaded.model_copy(update={"download": type(loaded.download).model_validate(download)})


def read_shard(text: str | None) -> Shard | None:
    """Read the option `--shard`."""
    from talkingpose.io.shard import parse_shard

    return None if text is None else parse_shard(text)


@contextmanager
def shown_progress() -> Iterator[ConsoleProgress]:
    """Yield progress on stderr whose lines begin with the program and cannot control the terminal."""
    from talkingpose.io.progress import ConsoleProgress

    class Shown(ConsoleProgress):
        def message(self, text: str) -> None:
            super().message(f"tp-curate: {printable(text)}")

    with Shown() as progress:
        yield progress


def note_refused(refused: Iterable[str], skipped: Iterable[str] = ()) -> None:
    """Print one line on stderr for each refused entry and each folder with skipped files."""
    for line in refused:
        console.note(f"tp-curate: refused: {printable(line)}")
    for line in skipped:
        console.note(f"tp-curate: {printable(line)}")


def printable(text: str) -> str:
    """Escape characters of a name or message that control the terminal or cannot be encoded."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
