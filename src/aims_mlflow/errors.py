"""The errors this library raises. Each says what is wrong, where, and what to do next."""

from __future__ import annotations


class AimsError(Exception):
    """Root of every error raised by this library.

    Attributes:
        message: What is wrong, one sentence.
        where: The place: a file and line, a run, a column; empty if there is none.
        remedy: What to do next, one sentence; empty if nothing helps.
        error_code: A stable word for machines, after ``MlflowException.error_code``.
    """

    error_code = "AIMS_ERROR"

    def __init__(self, message: str, *, where: str = "", remedy: str = "") -> None:
        self.message = message
        self.where = where
        self.remedy = remedy
        super().__init__(self.__str__())

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        if not self.remedy:
            return head
        return f"{head}{'' if head.endswith(('.', '?', '!', ':')) else '.'} {self.remedy}"


class ConfigError(AimsError):
    """A setting or ``aims.yaml`` is wrong. ``problems`` lists every mistake, not only the first."""

    error_code = "INVALID_CONFIG"

    def __init__(self, message: str, *, where: str = "", remedy: str = "", problems: tuple[str, ...] = ()) -> None:
        self.problems = problems
        super().__init__(message, where=where, remedy=remedy)


class CatalogError(AimsError):
    """A control catalog, crosswalk or custom framework file is wrong."""

    error_code = "INVALID_CATALOG"


class InputError(AimsError):
    """The caller handed over something that cannot be measured (no column of that name, lengths that differ...)."""

    error_code = "INVALID_PARAMETER_VALUE"


class EvidenceError(AimsError):
    """Evidence could not be read: absent, of an unknown schema, or its digest does not match."""

    error_code = "UNREADABLE_EVIDENCE"


class DeliveryError(AimsError):
    """Evidence could not be written to MLflow. It is kept in the spool; ``aims flush`` tries again."""

    error_code = "NOT_DELIVERED"


class EngineError(AimsError):
    """An engine (Great Expectations, Evidently) could not run. Never a failed check, never a passed one."""

    error_code = "COULD_NOT_RUN"
