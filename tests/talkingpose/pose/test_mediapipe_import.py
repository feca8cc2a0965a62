from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
from talkingpose.pose.mediapipe_import import import_mediapipe
assert import_mediapipe().__name__ == "mediapipe"
assert not [name for name in sys.modules if name.startswith("matplotlib")]
import matplotlib.pyplot
assert callable(matplotlib.pyplot.plot)
"""


def test_mediapipe_comes_without_matplotlib_which_stays_importable() -> None:
    result = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
