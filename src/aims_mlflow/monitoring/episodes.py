"""What is remembered of the episodes of alarms: facts in tags of the series run, so that nothing is done twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from aims_mlflow.config import AlarmRule
from aims_mlflow.evidence.base import canonical_json
from aims_mlflow.operation.alarms import Episode

PREFIX = "aims.episode."
RULES_TAG = "aims.rules"
"""Rules that were followed before, each with a digest of what it says, and up to when windows were there then."""
FAILED_TAG = "aims.follow.failed"
"""What could not be done, in short; absent where all was done."""

Fact = Literal["rule", "incident", "risk", "start", "end", "over"]
Moment = Literal["start", "end"]

_STAMP = "%Y%m%dT%H%M%SZ"
_FIRST_WAIT = timedelta(minutes=2)
_LONGEST_WAIT = timedelta(hours=6)


@dataclass(frozen=True, order=True)
class Key:
    """An episode, by the name it was first known by."""

    rule: str
    since: datetime

    @property
    def name(self) -> str:
        """``<rule>@<start>``."""
        return f"{self.rule}@{self.since.isoformat().replace('+00:00', 'Z')}"

    def tag(self, fact: str) -> str:
        """Name of the tag that holds a fact."""
        return f"{PREFIX}{self.rule}.{self.since.strftime(_STAMP)}.{fact}"


class Memory:
    """The facts of one series.

    Args:
        client: An ``MlflowClient``.
        run_id: The series run.

    Raises:
        MlflowException: it cannot be read.
    """

    def __init__(self, client: Any, run_id: str) -> None:
        self.client = client
        self.run_id = run_id
        data = client.get_run(run_id).data
        self.tags: dict[str, str] = dict(data.tags)
        self.params: dict[str, str] = dict(data.params)

    def known(self, rule: str) -> list[Key]:
        """The episodes of a rule that anything was done about, oldest first."""
        found = set()
        for name in self.tags:
            head, _, fact = name.rpartition(".")
            if head.startswith(f"{PREFIX}{rule}.") and fact:
                stamp = head.removeprefix(f"{PREFIX}{rule}.")
                try:
                    found.add(Key(rule, datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)))
                except ValueError:  # somebody's own tag
                    continue
        return sorted(found)

    def keys_of(self, episode: Episode) -> list[Key]:
        """What an episode is known by, oldest first; a window that came late may have moved its start, or joined two.

        One that is known by nothing gets the name it has now.
        """
        own = Key(episode.rule, episode.since)
        return [key for key in self.known(episode.rule) if episode.covers(key.since)] or [own]

    def fact(self, key: Key, fact: Fact) -> str | None:
        """What is known."""
        return self.tags.get(key.tag(fact))

    def note(self, key: Key, fact: Fact, value: str) -> None:
        """Remember it."""
        self._set(key.tag(fact), value[:500])

    def forget(self, key: Key, *facts: Fact) -> None:
        """The episode goes on: what was said of its end is not true any more."""
        for fact in facts:
            if self.tags.pop(key.tag(fact), None) is not None:
                self.client.delete_tag(self.run_id, key.tag(fact))

    # rules

    def was_before(self, rule: AlarmRule, episode: Episode) -> bool:
        """Whether an episode was over when the rule, as it is now, was followed first."""
        if episode.ended is None:
            return False
        since = self._followed().get(f"{rule.name}:{digest_of(rule)}")
        return since is None or f"{episode.ended.end:{_STAMP}}" <= since

    def _followed(self) -> dict[str, str]:
        """Rules that were followed before, to the end of the latest window there was at first."""
        found = (one.rpartition(":") for one in self.tags.get(RULES_TAG, "").split(" "))
        return {rule: since for rule, _, since in found if rule}

    def seen(self, rules: Iterable[AlarmRule], latest: datetime) -> None:
        """Remember the rules that were followed, and the end of the latest window where one is new."""
        known = self._followed()
        names = [f"{rule.name}:{digest_of(rule)}" for rule in rules]
        said = " ".join(f"{name}:{known.get(name, f'{latest:{_STAMP}}')}" for name in names)
        if self.tags.get(RULES_TAG) != said:
            self._set(RULES_TAG, said)

    # messages

    def may_try(self, key: Key, moment: Moment, at: datetime) -> int | None:
        """Claim the next attempt to tell people; None where another is under way, or it is too soon to try again.

        Of two who claim it at once MLflow gives it to one: a parameter is written once.
        """
        stem = f"told.{key.rule}.{key.since.strftime(_STAMP)}.{moment}."
        tried = {
            int(n[len(stem) :]): v for n, v in self.params.items() if n.startswith(stem) and n[len(stem) :].isdigit()
        }
        last = max(tried, default=0)
        if last and at < _when(tried[last]) + min(_FIRST_WAIT * 2 ** min(last - 1, 20), _LONGEST_WAIT):
            return None
        value = at.isoformat()
        try:
            self.client.log_param(self.run_id, f"{stem}{last + 1}", value)
        except Exception as error:
            if getattr(error, "error_code", "") == "INVALID_PARAMETER_VALUE":  # somebody else has it
                return None
            raise
        self.params[f"{stem}{last + 1}"] = value
        return last + 1

    # failures

    def failures(self, what: Iterable[str]) -> None:
        """Put on record what could not be done; nothing where all was."""
        said = "; ".join(what)[:500]
        if said and self.tags.get(FAILED_TAG) != said:
            self._set(FAILED_TAG, said)
        elif not said and FAILED_TAG in self.tags:
            self.client.delete_tag(self.run_id, FAILED_TAG)
            del self.tags[FAILED_TAG]

    def _set(self, name: str, value: str) -> None:
        self.client.set_tag(self.run_id, name, value)
        self.tags[name] = value


def digest_of(rule: AlarmRule) -> str:
    """What tells a rule from another of the same name: its number, limits and windows."""
    said: Mapping[str, Any] = rule.model_dump(
        mode="json", include={"number", "above", "below", "windows", "recover", "recover_windows", "certain"}
    )
    return hashlib.sha256(canonical_json(said)).hexdigest()[:8]


def _when(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def in_words(error: Exception) -> str:
    """An error in a few words: ours as it is, another's by its class alone."""
    message: Callable[[], str] | str | None = getattr(error, "message", None)
    from aims_mlflow.errors import AimsError

    return str(message) if isinstance(error, AimsError) and message else type(error).__name__
