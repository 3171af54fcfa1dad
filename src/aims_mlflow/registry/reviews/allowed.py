"""Whether a review fits the policy: the role of who says it, what it waives, and what it is for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from aims_mlflow.catalog import load_catalog
from aims_mlflow.config import Declaration, Settings
from aims_mlflow.config.gate import GatePerson
from aims_mlflow.config.problems import did_you_mean
from aims_mlflow.errors import AimsError, CatalogError, InputError
from aims_mlflow.evidence import TYPED_KINDS
from aims_mlflow.gate.entries import Target
from aims_mlflow.gate.policy import guard_of, is_named, near

_ALSO = ("approvals", "assessment")
"""What else can be waived beside controls and kinds of evidence, as the decision names it."""
_NEVER = frozenset({"content", "held", "policy", "rejected", "signature", "unreadable"})
"""What no waiver covers, as the decision names it."""


def person_of(name: str, people: Mapping[str, GatePerson]) -> str | None:
    """The person of the policy who has the name, or the login; None where there is none."""
    plain = name.strip().casefold()
    for person, known in people.items():
        if plain == person.casefold() or plain in {login.casefold() for login in known.logins}:
            return person
    return None


def role_of(name: str, role: str | None, declaration: Declaration) -> str | None:
    """The role a review is said in: the one given, else the only one the policy gives the person.

    Raises:
        InputError: the policy knows the person, and in other roles.
    """
    people = declaration.gate.people if declaration.gate else {}
    person = person_of(name, people)
    if person is None:
        return role
    roles = people[person].roles
    if role is None:
        return roles[0] if len(roles) == 1 else None
    if role not in roles:
        listed = f"The policy knows {person} as {', '.join(roles)}." if roles else f"The policy gives {person} no role."
        raise InputError(
            f"{name} may not act as {role!r}{did_you_mean(role, roles)}",
            remedy=f"{listed} It is listed under gate.people in aims.yaml.",
        )
    return role


def without_role(name: str, role: str | None, settings: Settings) -> list[str]:
    """Why a review is on record without a role, in a sentence without a full stop; nothing where none is asked for."""
    people = settings.declaration.gate.people if settings.declaration.gate else {}
    if role is not None:
        return []
    if settings.path is None and settings.declaration.gate is None:
        return ["no role is recorded: there is no aims.yaml here to tell it; give --role, or --config FILE"]
    if not people:
        return []
    person = person_of(name, people)
    if person is None:
        return [f"no role is recorded: the policy does not know {name}"]
    roles = people[person].roles
    if not roles:
        return [f"no role is recorded: the policy gives {person} none"]
    return [f"no role is recorded: the policy knows {person} as {', '.join(roles)}; say which with --role"]


def check_controls(controls: Iterable[str], declaration: Declaration, folder: Path | None = None) -> None:
    """See that what a waiver names is there to be waived.

    Args:
        controls: Ids of controls, kinds of evidence, ``approvals`` or ``assessment``.
        declaration: Its policy and its frameworks name further ids.
        folder: Where its framework files are; None: they are not read.

    Raises:
        InputError: one of them is nothing the gate asks for, or cannot be waived.
    """
    known = {*_ALSO, *TYPED_KINDS, *_ids(declaration, folder)}
    for name in controls:
        if name in _NEVER:
            raise InputError(f"{name!r} cannot be waived", remedy="Mend it; `aims gate` says how.")
        if name not in known:
            raise InputError(
                f"there is no control and no kind of evidence {name[:60]!r}{did_you_mean(name, known)}",
                remedy="`aims register` lists controls; for those of own frameworks AIMS_CONFIG must name aims.yaml.",
            )


def _ids(declaration: Declaration, folder: Path | None) -> set[str]:
    """Ids of the register, of the declaration's own frameworks where they can be read, and those the policy names."""
    found = set(load_catalog().rows)
    if folder is not None and declaration.frameworks:
        with suppress(CatalogError):  # `aims check` says what is wrong with them
            found |= set(load_catalog(tuple(folder / name for name in declaration.frameworks)).rows)
    for profile in declaration.gate.profiles.values() if declaration.gate else ():
        found |= {*profile.controls, *profile.evidence, *profile.not_waivable}
    return found


def unguarded(model: str, targets: Iterable[str], declaration: Declaration) -> list[str]:
    """What a review is for that no rule guards, in sentences without a full stop; nothing without a policy."""
    if declaration.gate is None or not declaration.gate.guarded:
        return []
    if not is_named(declaration, model) and not any(_is_guarded(declaration, model, name) for name in targets):
        return [f"no rule of the policy is about the model {model!r}"]
    found = []
    for name in targets:
        if not _is_guarded(declaration, model, name):
            close = near(declaration, model, name)
            found.append(f"no rule guards {name!r}" + (f"; did you mean {close}?" if close else ""))
    return found


def _is_guarded(declaration: Declaration, model: str, name: str) -> bool:
    kinds = ("alias", "stage", "registration")
    try:
        return any(guard_of(declaration, model, Target.model_validate({"kind": k, "name": name})) for k in kinds)
    except AimsError:  # guarded by a profile that is unusable
        return True
