"""Mistakes of the section ``gate`` that span several keys. They look at plain data, as ``consistency`` does."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from aims_mlflow.config.problems import Loc, did_you_mean
from aims_mlflow.evidence import TYPED_KINDS

SHIPPED_PROFILES = ("minimal", "limited", "high")
"""Profiles that are there without being written; each for the risk class of its name."""


def gate_mistakes(plain: dict[str, Any], ids: Collection[str] | None) -> Iterator[tuple[Loc, str]]:
    """Every mistake of the section.

    Args:
        plain: The whole declaration.
        ids: Ids of clauses and controls; None: not checked.
    """
    if plain.get("gate") is None:
        return
    gate = _section(plain.get("gate"))
    profiles = _section(gate.get("profiles"))
    names = {*SHIPPED_PROFILES, *profiles}
    rules = _items(gate.get("guarded"))
    if not rules:
        yield ("gate", "guarded"), "the gate guards nothing; name models with aliases or stages, or remove the section"
    for index, rule in enumerate(rules):
        yield from _rule(("gate", "guarded", index), _section(rule), names)
    for name, profile in profiles.items():
        yield from _profile(("gate", "profiles", name), _section(profile), gate, ids)
    yield from _people(_section(gate.get("people")))


def _rule(loc: Loc, rule: dict[str, Any], profiles: Collection[str]) -> Iterator[tuple[Loc, str]]:
    if not (_items(rule.get("aliases")) or _items(rule.get("stages")) or rule.get("new_versions") is True):
        yield loc, "the rule guards nothing; name 'aliases', 'stages', or set 'new_versions: true'"
    if "models" in rule and not _items(rule["models"]):
        yield (*loc, "models"), "the rule names no model; '*' names all"
    profile = rule.get("profile")
    if isinstance(profile, str) and profile not in profiles:
        yield (*loc, "profile"), f"unknown profile {profile[:60]!r}{did_you_mean(profile, profiles)}"


def _profile(
    loc: Loc, profile: dict[str, Any], gate: dict[str, Any], ids: Collection[str] | None
) -> Iterator[tuple[Loc, str]]:
    approvals = _section(profile.get("approvals"))
    if not (_items(profile.get("controls")) or _items(profile.get("evidence")) or approvals.get("count")):
        yield loc, "the profile asks for nothing; name 'controls', 'evidence' or a number of 'approvals'"
    if profile.get("signed") is True and not _section(gate.get("trusted_keys")):
        yield (
            (*loc, "signed"),
            "no key can have signed it: name one under 'gate.trusted_keys' (made by 'aims keygen')",
        )
    people = _section(gate.get("people"))
    if approvals.get("identity") == "signed" and not any(_section(p).get("key") for p in people.values()):
        yield (*loc, "approvals", "identity"), "no approver has a key: give one to each under 'gate.people'"
    for index, role in enumerate(_items(approvals.get("roles"))):
        if people and not any(role in _items(_section(p).get("roles")) for p in people.values()):
            yield (*loc, "approvals", "roles", index), f"nobody under 'gate.people' has the role {str(role)[:60]!r}"
    for key in ("evidence", "not_waivable"):
        for index, kind in enumerate(_items(profile.get(key))):
            valid = (*TYPED_KINDS, *(ids or ())) if key == "not_waivable" else TYPED_KINDS
            if isinstance(kind, str) and (key == "evidence" or ids is not None) and kind not in valid:
                yield (*loc, key, index), f"unknown kind of evidence {kind[:60]!r}{did_you_mean(kind, valid)}"
    if ids is not None:
        for index, row in enumerate(_items(profile.get("controls"))):
            yield from _unknown_id((*loc, "controls", index), row, ids)
        for row in _section(profile.get("basis")):
            yield from _unknown_id((*loc, "basis", row), row, ids)


def _unknown_id(loc: Loc, row: Any, ids: Collection[str]) -> Iterator[tuple[Loc, str]]:
    if isinstance(row, str) and row not in ids:
        yield loc, f"unknown id of a clause or control {row[:60]!r}{did_you_mean(row, ids)}"


def _people(people: dict[str, Any]) -> Iterator[tuple[Loc, str]]:
    """One name, one person: a login of two people would let one approve twice."""
    owner: dict[str, str] = {}
    for person in people:
        owner[person.casefold()] = person
    for person, known in people.items():
        for index, login in enumerate(_items(_section(known).get("logins"))):
            if isinstance(login, str) and owner.setdefault(login.casefold(), person) != person:
                message = f"{login!r} already means {owner[login.casefold()]!r}; one login cannot be two people"
                yield ("gate", "people", person, "logins", index), message


def _section(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
