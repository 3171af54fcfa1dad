"""Which rule and profile apply to a move, and the shipped profiles. Pure."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import lru_cache

from aims_mlflow.config import Declaration
from aims_mlflow.config.gate import ApprovalRule, GateMode, GatePolicy, GateProfile, GateRule
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.errors import ConfigError
from aims_mlflow.evidence.base import Basis, canonical_json, sha256_of
from aims_mlflow.gate.entries import Target

SHIPPED: dict[str, GateProfile] = {
    "minimal": GateProfile(
        controls=("A.6.2.4", "A.7.4"),
        evidence=("data_quality", "performance"),
        minimum_basis=Basis.REPORTED,
        max_age_days=90,
    ),
    "limited": GateProfile(
        controls=("A.4.3", "A.6.2.4", "A.7.4", "A.7.6"),
        evidence=("data_quality", "performance"),
        minimum_basis=Basis.DECLARED,
        basis={"A.6.2.4": Basis.REPORTED, "A.7.4": Basis.REPORTED},
        max_age_days=30,
        approvals=ApprovalRule(count=1),
    ),
    "high": GateProfile(
        controls=("A.4.3", "A.4.4", "A.6.2.4", "A.7.3", "A.7.4", "A.7.6"),
        evidence=("data_quality", "drift", "fairness", "performance"),
        minimum_basis=Basis.DECLARED,
        basis={"A.6.2.4": Basis.MEASURED, "A.7.4": Basis.MEASURED},
        max_age_days=30,
        approvals=ApprovalRule(count=2, max_age_days=30),
        not_waivable=("A.6.2.4", "A.7.4"),
    ),
}
"""What a guarded move needs by risk class, where ``aims.yaml`` says nothing else."""


_LONGEST_NAME = 512
"""Characters of a name that is kept for the next look; MLflow's are shorter."""
_PASSED_OVER = {"Mn", "Me", "Cf", "Cc"}
_OUT_OF_SERVICE = {"none", "archived"}


class ProhibitedError(ConfigError):
    """The policy is clear, and says that the system may not be put into use at all."""

    error_code = "PROHIBITED"


@dataclass(frozen=True)
class Guard:
    """What applies to one move."""

    mode: GateMode
    profile: GateProfile
    profile_name: str
    risk_class: RiskClass


def policy_sha256(declaration: Declaration) -> str:
    """``sha256:`` over everything of the declaration a decision depends on, the shipped profiles included."""
    policy = declaration.gate or GatePolicy()
    used = SHIPPED | policy.profiles
    return sha256_of(
        canonical_json(
            {
                "gate": policy.model_dump(mode="json"),
                "risk_class": str(declaration.system.risk_class),
                "profiles": {name: profile.model_dump(mode="json") for name, profile in sorted(used.items())},
            }
        )
    )


def guard_of(declaration: Declaration, model: str, target: Target) -> Guard | None:
    """What guards a move; None where no rule names it.

    Raises:
        ConfigError: there is no policy at all, the risk class has no profile, or the profile asks for nothing. A
            target that is guarded by nothing is a mistake, never a pass.
    """
    if takes_out(target):
        return None
    policy = declaration.gate
    if policy is None or not policy.guarded:
        raise ConfigError(
            "the gate has no policy",
            remedy="Set AIMS_CONFIG to an aims.yaml with a section 'gate' that names what is guarded.",
        )
    registered = target.name if target.kind == "registration" else model  # a copy's own model is where it comes from
    for rule in policy.guarded:
        if matches(registered, rule.models) and _names(rule, target):
            return _guard(policy, rule, declaration.system.risk_class)
    return None


def takes_out(target: Target) -> bool:
    """Whether a version that moves there leaves service, which no rule keeps it from."""
    return target.kind == "stage" and target.name.casefold() in _OUT_OF_SERVICE


def is_named(declaration: Declaration, model: str) -> bool:
    """Whether any rule is about the model."""
    return any(matches(model, rule.models) for rule in (declaration.gate or GatePolicy()).guarded)


def guards_stages(declaration: Declaration, model: str) -> bool:
    """Whether any rule guards a stage of the model, so that leaving one is worth an entry in the log."""
    return any(rule.stages and matches(model, rule.models) for rule in (declaration.gate or GatePolicy()).guarded)


def mode_of(declaration: Declaration, model: str) -> GateMode:
    """How strictly the model's tags, name and versions are kept: the strictest of the rules about it.

    Where no rule is about it, the mode of the section; where there is no section, ``enforce``.
    """
    policy = declaration.gate or GatePolicy()
    modes = {rule.mode or policy.mode for rule in policy.guarded if matches(model, rule.models)} or {policy.mode}
    return GateMode.ENFORCE if GateMode.ENFORCE in modes else GateMode.OBSERVE


def rules_about(declaration: Declaration, model: str) -> tuple[int, ...]:
    """Places of the rules about the model. A name for which they differ is another promise."""
    guarded = (declaration.gate or GatePolicy()).guarded
    return tuple(place for place, rule in enumerate(guarded) if matches(model, rule.models))


def demands_signature(declaration: Declaration, model: str) -> bool:
    """Whether any rule about the model asks for signed assessments. A rule whose profile is unusable does."""
    policy = declaration.gate or GatePolicy()
    for rule in policy.guarded:
        if not matches(model, rule.models):
            continue
        try:
            if _guard(policy, rule, declaration.system.risk_class).profile.signed:
                return True
        except ConfigError:
            return True
    return False


def guarded_targets(declaration: Declaration, model: str) -> list[Target]:
    """The targets a model's rules name outright; patterns are left out, for they name no one target."""
    found: dict[tuple[str, str], Target] = {}
    for rule in declaration.gate.guarded if declaration.gate else ():
        if not matches(model, rule.models):
            continue
        named = [Target(kind="alias", name=n) for n in rule.aliases] + [
            Target(kind="stage", name=n) for n in rule.stages
        ]
        for target in named:
            if not set(target.name) & set("*?"):
                found.setdefault((target.kind, target.name.casefold()), target)
    return list(found.values())


def near(declaration: Declaration, model: str, name: str) -> str | None:
    """The guarded alias, stage or model somebody may have meant by a name no rule has; None where none is like it."""
    known = [target.name for target in guarded_targets(declaration, model)]
    rules = declaration.gate.guarded if declaration.gate else ()
    known += [pattern for rule in rules if rule.new_versions for pattern in rule.models if not set(pattern) & set("*?")]
    plain = {plain_name(one): one for one in known}
    found = get_close_matches(plain_name(name), plain, n=1)
    return plain[found[0]] if found else None


def _names(rule: GateRule, target: Target) -> bool:
    match target.kind:
        case "alias":
            return matches(target.name, rule.aliases)
        case "stage":
            return matches(target.name, rule.stages)
        case "registration":
            return rule.new_versions


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether any of the patterns names it; neither ``Champion`` nor ``chämpion`` slips past a rule for ``champion``.

    Databases may take names for the same that differ in case, accents, blanks at the end or characters not shown.
    """
    plain = plain_name(name)
    return any(fnmatchcase(plain, _pattern(pattern)) for pattern in patterns)


def plain_name(name: str) -> str:
    """The name without what eyes and databases pass over: case, accents, blanks at the ends, characters not shown."""
    return _plain(name) if len(name) <= _LONGEST_NAME else _plain.__wrapped__(name)


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    parts = unicodedata.normalize("NFKD", name)
    return "".join(c for c in parts if unicodedata.category(c) not in _PASSED_OVER).casefold().strip()


@lru_cache(maxsize=4096)
def _pattern(pattern: str) -> str:
    """The pattern for ``fnmatch``, which takes brackets for more than themselves."""
    return plain_name(pattern).replace("[", "[[]")


def _guard(policy: GatePolicy, rule: GateRule, system_risk: RiskClass) -> Guard:
    risk = rule.risk_class or system_risk
    if RiskClass.PROHIBITED in (risk, system_risk):
        raise ProhibitedError(
            "a system of risk class 'prohibited' may not be put into use",
            remedy="If it is not prohibited, correct system.risk_class in aims.yaml.",
        )
    name = rule.profile
    if name is None:
        if risk is RiskClass.UNCLASSIFIED:
            raise ConfigError(
                "the risk class is not declared, so no profile of the gate applies",
                remedy="Declare system.risk_class in aims.yaml, or name a profile in the rule.",
            )
        name = str(risk)
    profile = policy.profiles.get(name) or SHIPPED.get(name)
    if profile is None:
        raise ConfigError(f"the gate's profile {name!r} does not exist", remedy="Define it under gate.profiles.")
    if not (profile.controls or profile.evidence or profile.approvals.count):
        raise ConfigError(
            f"the gate's profile {name!r} asks for nothing", remedy="Name controls, evidence or approvals in it."
        )
    return Guard(rule.mode or policy.mode, profile, name, risk)
