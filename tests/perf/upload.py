"""Bytes that travel to a content-addressed hub after one clip was removed, by layout of the Parquet files.

    python tests/perf/upload.py [--clips N] [--kilobytes N]

The hub is simulated: files are cut where a rolling hash of 64 bytes ends in zeros, into chunks of 64 KB in the
mean, as Xet does, and a chunk that is known is not sent. Videos are random bytes; keypoints are a random walk.
"""  # noqa: E501

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path[0] = str(Path(__file__).parents[2])  # curation.py beside this file is not the package

from curation.dataset.export import shard_writer  # noqa: E402

MASK = np.uint64((1 << 16) - 1)
FRAMES = 100


def chunks(content: bytes) -> dict[bytes, int]:
    """Digest -> size of the chunks of a file, after the gear hash of FastCDC."""
    gear = np.random.default_rng(0).integers(0, 1 << 63, 256, dtype=np.uint64)
    values = gear[np.frombuffer(content, np.uint8)]
    # Bit k of the hash depends on the last k + 1 bytes; the lowest 16 are tested.
    rolled = np.zeros_like(values)
    for back in range(16):
        rolled[back:] += values[: len(values) - back] << np.uint64(back)
    ends = [*(np.flatnonzero((rolled & MASK) == 0) + 1).tolist(), len(content)]
    found, start = {}, 0
    for end in ends:
        if end - start >= 8192 or end == len(content):
            piece = content[start:end]
            found[hashlib.sha256(piece).digest()] = len(piece)
            start = end
    return found


def table(numbers: list[int], size: int) -> pa.Table:
    """Rows of clips."""
    rows = []
    for number in numbers:
        rng = np.random.default_rng(number)
        walk = (0.5 + np.cumsum(rng.normal(0, 0.002, (FRAMES, 399)), axis=0)).astype(np.float16)
        rows.append({"clip_id": f"{number:016x}", "video": rng.bytes(size), "keypoints": walk.reshape(-1)})
    schema = pa.schema({"clip_id": pa.string(), "video": pa.binary(), "keypoints": pa.list_(pa.float16())})
    return pa.Table.from_pylist(rows, schema=schema)


def main() -> None:
    """Print one line per layout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=120)
    parser.add_argument("--kilobytes", type=int, default=150)
    given = parser.parse_args()
    whole = list(range(given.clips))
    less = [number for number in whole if number != given.clips // 3]
    print("layout             bytes     new bytes")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("plain", "default chunks", "as exported"):
            contents = []
            for numbers in (whole, less):
                path = Path(folder) / "shard.parquet"
                data = table(numbers, given.kilobytes * 1000)
                if name == "as exported":
                    with shard_writer(path, data.schema) as writer:
                        writer.write_table(data)
                else:
                    kinds = {"clip_id": "zstd", "video": "none", "keypoints.list.element": "zstd"}
                    pq.write_table(
                        data,
                        path,
                        compression=kinds,
                        use_dictionary=False,
                        use_content_defined_chunking=name == "default chunks",
                    )
                contents.append(path.read_bytes())
            known, after = (chunks(content) for content in contents)
            new = sum(size for digest, size in after.items() if digest not in known)
            print(f"{name:15}  {len(contents[1]):9}  {new:9}", flush=True)


if __name__ == "__main__":
    main()
