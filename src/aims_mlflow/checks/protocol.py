"""What a check is."""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

from aims_mlflow.assessment import CheckResult
from aims_mlflow.checks.case import Case


@runtime_checkable
class Check(Protocol):
    """One small class: its docstring is the title, the docstring of ``check`` says what to do about a failure.

    A check is pure: the same case gives the same result, and nothing but the case is looked at. It has no state; it is
    made once, without arguments.
    """

    id: ClassVar[str]
    """Letters and a number, meant to last: ``DQ001``. Rows name checks by it."""
    arguments: ClassVar[tuple[str, ...]]
    """Names of the ``where`` arguments it takes."""

    def check(self, case: Case) -> CheckResult:
        """Judge the requirement of the case."""
        ...
