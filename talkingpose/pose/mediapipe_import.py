"""Import of mediapipe without matplotlib."""

from __future__ import annotations

import sys
import threading
from types import ModuleType
from typing import cast

_LOCK = threading.Lock()


def import_mediapipe() -> ModuleType:
    """Import mediapipe and return it.

    mediapipe imports matplotlib for the function `plot_landmarks`, which this project does not use. It is two
    thirds of the time of the import. Unless matplotlib is imported already, mediapipe gets an empty module in
    its place; a later import of matplotlib gets the real one.
    """
    with _LOCK:
        if "mediapipe" not in sys.modules and "matplotlib" not in sys.modules:
            package, pyplot = ModuleType("matplotlib"), ModuleType("matplotlib.pyplot")
            vars(package)["pyplot"] = pyplot
            stand_ins = {"matplotlib": package, "matplotlib.pyplot": pyplot}
            sys.modules.update(stand_ins)
            try:
                import mediapipe.python.solutions.holistic
            finally:
                for name, module in stand_ins.items():
                    if sys.modules.get(name) is module:
                        del sys.modules[name]
        import mediapipe
    return cast("ModuleType", mediapipe)
