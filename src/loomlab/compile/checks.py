"""What torch.compile needs of the machine, found before training."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def has_a_compiler(settings: Mapping[str, Any]) -> list[str]:
    """Complaints about what is missing to build C++ code: the compiler, or Python's headers.

    The compiler is the one torch.compile takes: $CXX, or else g++ (clang++ on macOS).
    """
    wanted = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    problems = []
    if shutil.which(wanted) is None:
        problems.append(
            f"no C++ compiler: torch.compile needs '{wanted}', which is not found; install it, "
            "name one by the environment variable CXX, or use compile=off"
        )
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.is_file():
        problems.append(
            f"no C headers of Python: torch.compile needs {header}; install python3-dev (its name "
            "differs between systems), or use compile=off"
        )
    return problems
