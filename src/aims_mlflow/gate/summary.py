"""A decision for merge requests and CI: Markdown and JUnit XML. Pure."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from aims_mlflow.gate.decision import DecisionOutcome, GateDecision, Problem
from aims_mlflow.gate.messages import named, one_line

_SIGNS = {
    DecisionOutcome.ALLOW: "✓",
    DecisionOutcome.ALLOW_BY_WAIVER: "▲",
    DecisionOutcome.REFUSE: "✗",
    DecisionOutcome.NOT_GUARDED: "○",
}


def markdown(decision: GateDecision) -> str:
    """The decision as a comment on a merge request: verdict first, then what is missing and what mends it."""
    where = f"`{decision.model}` version {decision.version} → `{decision.target}`"
    lines = [f"### {_SIGNS[decision.outcome]} AIMS gate: {_word(decision)}, {where}", ""]
    if decision.problems:
        lines += ["| What | Why | Next |", "|---|---|---|"]
        lines += [f"| {_cell(_what(p))} | {_cell(p.what)} | {_next(p)} |" for p in decision.problems]
        lines.append("")
    if decision.approvals_needed:
        by = ", ".join(decision.approved_by) or "nobody yet"
        lines += [f"Approved by {_cell(by)} ({len(decision.approvals)} of {decision.approvals_needed}).", ""]
    facts = [
        f"profile {decision.profile or 'none'}",
        f"mode {decision.mode}",
        f"decided {decision.at:%Y-%m-%d %H:%M} UTC",
        f"policy {_short(decision.policy_sha256)}",
        f"assessment {_short(decision.statement_sha256)}"
        + (f", signed by {decision.signed_by}" * bool(decision.signed_by)),
    ]
    if decision.valid_until:
        facts.append(f"holds until {decision.valid_until:%Y-%m-%d}")
    return "\n".join([*lines, f"<sub>{_cell('; '.join(facts))}</sub>", ""])


def junit(decision: GateDecision) -> str:
    """The decision as JUnit XML: one test case for each thing that was wanting, or a passed one where nothing was."""
    name = f"aims.gate.{decision.model}.{decision.version}"
    cases = decision.problems or (None,)
    failed = decision.open_problems if decision.refused else ()
    errors = sum(p.could_not_decide for p in failed)
    counts = {"tests": str(len(cases)), "failures": str(len(failed) - errors), "errors": str(errors)}
    counts["skipped"] = str(sum(p.waived_by is not None for p in decision.problems))
    suite = Xml.Element("testsuite", counts, name="AIMS gate")
    suite.set("timestamp", f"{decision.at:%Y-%m-%dT%H:%M:%S}")
    for problem in cases:
        title = _plain(f"move to {decision.target}" if problem is None else f"{decision.target}: {_what(problem)}")
        case = Xml.SubElement(suite, "testcase", classname=_plain(name), name=title, time="0")
        if problem is None:
            continue
        if problem in failed:
            kind = "error" if problem.could_not_decide else "failure"
            failure = Xml.SubElement(case, kind, message=_plain(problem.what), type="refused")
            failure.text = _plain(f"{named(problem)}. Next: {problem.remedy}")
        elif problem.waived_by:
            Xml.SubElement(case, "skipped", message=_plain(problem.waiver or "waived"))
            Xml.SubElement(case, "system-out").text = _plain(f"{named(problem)}: {problem.waiver or 'waived'}")
        else:
            Xml.SubElement(case, "system-out").text = _plain(f"{named(problem)}: only observed")
    if decision.problems or decision.outcome is DecisionOutcome.NOT_GUARDED:
        Xml.SubElement(suite, "system-out").text = _plain(one_line(decision))
    root = Xml.Element("testsuites", counts)
    root.append(suite)
    return Xml.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _word(decision: GateDecision) -> str:
    match decision.outcome:
        case DecisionOutcome.ALLOW:
            return "allowed"
        case DecisionOutcome.ALLOW_BY_WAIVER:
            return "allowed by break-glass" if decision.break_glass else "allowed by waiver"
        case DecisionOutcome.REFUSE:
            return "refused" if decision.refused else "would be refused"
        case DecisionOutcome.NOT_GUARDED:
            return "not guarded"


def _what(problem: Problem) -> str:
    return f"{problem.id} {problem.title}".strip().replace("_", " ")


def _next(problem: Problem) -> str:
    if problem.waived_by:
        return f"{_cell(problem.waiver) or 'waived'} ({_short(problem.waived_by)})"
    return f"`{_cell(problem.remedy).replace('`', '')}`"


def _cell(text: str) -> str:
    """Text that cannot leave its table cell, nor be taken for markup."""
    flat = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
    return flat.replace("<", "&lt;").replace("[", "\\[").replace("@", "&#64;")


def _plain(text: str) -> str:
    """Text XML can hold."""
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def _short(digest: str | None) -> str:
    return digest.removeprefix("sha256:")[:16] if digest else "none"
