"""Great Expectations, imported when first used and kept from changing the process around it."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from types import ModuleType

_IMPORT = threading.Lock()


def engine_version() -> str:
    """Version of the installed Great Expectations."""
    return str(library().__version__)


def library() -> ModuleType:
    """Great Expectations, imported when first used, without its side effects on the process's warnings."""
    with _IMPORT:
        shown = warnings.showwarning
        before = os.environ.get("GX_ANALYTICS_ENABLED")
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        try:
            import great_expectations
        finally:
            if before is None:
                os.environ.pop("GX_ANALYTICS_ENABLED", None)
            else:
                os.environ["GX_ANALYTICS_ENABLED"] = before
            # Version 1.24 turns on logging.captureWarnings, which takes every warning of the process off stderr.
            if warnings.showwarning is not shown:
                logging.captureWarnings(False)
    module: ModuleType = great_expectations
    return module
