"""`tp-eval` under the rules of the tests, as a program: `python tiny_tp_eval.py ARGUMENTS`."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

# Another distribution may install a package of this name, which would be imported instead.
package = ModuleType("tests")
package.__path__ = [str(Path(__file__).parents[1])]
sys.modules["tests"] = package

# At import, so that the processes of --workers follow the same rules.
from tests.benchmark.tiny_runs import protocol_everywhere, tiny_protocol  # noqa: E402

RULES = protocol_everywhere(tiny_protocol())
RULES.__enter__()

if __name__ == "__main__":
    from benchmark.cli.app import main

    main()
