"""Sections 3 to 9: limits, metrics, risks, changes, standards, monitoring."""

from __future__ import annotations

from collections import Counter

from aims_mlflow.documentation.fillers.blocks import (
    Filler,
    Found,
    Lack,
    by_version,
    custom_blocks,
    drift_tables,
    facts,
    group_tables,
    metric_tables,
    stated,
    table,
)
from aims_mlflow.documentation.material import Judged, Material, cited, estimate, whence
from aims_mlflow.documentation.paper import Text
from aims_mlflow.evidence import DatasetRecord, Interval, ModelRecord
from aims_mlflow.management.applicability import ApplicabilityContent
from aims_mlflow.management.impact import ImpactContent
from aims_mlflow.management.incidents import IncidentContent, LogReview
from aims_mlflow.management.risks import RiskContent
from aims_mlflow.management.state import Filed

_ROLES_OF_TRAINING = frozenset({"training", "train"})


def limits(material: Material) -> list[Found]:
    """Intended use, uses that are out of bounds, where it is used and on whom."""
    made: list[Found] = []
    for name, what in (
        ("intended_use", "Intended use"),
        ("not_for", "Not for"),
        ("regions", "Regions"),
        ("affected_groups", "Persons and groups affected"),
    ):
        value, source = material.said(name)
        if value:
            text = "; ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
            made.append(Text(text=f"{what}: {text}", source=source))
    if made and not material.said("not_for")[0]:
        made.append(Lack("uses that are out of bounds", how="Declare system.not_for in aims.yaml."))
    return made


def accuracy_by_group(material: Material) -> list[Found]:
    """Accuracy overall and by group; what section 2 shows in full is not repeated, only where it lies."""

    def make(one: Judged) -> list[Found]:
        overall, groups = metric_tables(material, one), group_tables(material, one)
        if not overall and not groups:
            return []
        made: list[Found] = []
        shown = [name for name, found in (("overall", overall), ("by group", groups)) if found]
        said = f"Accuracy of {one.label} {' and '.join(shown)}, with intervals: tables under Annex IV(2)(g)."
        made.append(Text(text=said))
        if not overall:
            made.append(Lack(f"accuracy overall of {one.label}"))
        if not groups:
            made.append(Lack(f"accuracy of {one.label} for the groups it is meant for"))
        return made

    return by_version(material, make, "accuracy overall and by group")


def outcomes(material: Material) -> list[Found]:
    """What the impact assessments in force found."""
    made: list[Found] = []
    for one in material.nearest("impact"):
        content = material.content(one, ImpactContent)
        if content is None:
            continue
        source = whence(one)
        version = f" of {content.registered_name}/{content.version}" if content.registered_name else ""
        made.append(Text(text=f"Impact assessment{version}: {content.conclusion}. {content.reason}", source=source))
        rows = [
            (e.kind, e.to, e.of, e.what, e.severity, e.likelihood, e.measure or "none named") for e in content.effects
        ]
        if rows:
            head = ("Kind", "To", "Of", "What", "Severity", "Likelihood", "Measure")
            made.append(table("Effects", head, rows, source))
        if content.misuse:
            made.append(Text(text=f"Foreseeable misuse: {'; '.join(content.misuse)}", source=source))
        numbers = [(n.name, estimate(Interval(value=n.value, low=n.low, high=n.high))) for n in content.measured]
        if numbers:
            made.append(table("Numbers it rests on", ("Number", "Value"), numbers, source))
    return made


def input_specification(material: Material) -> list[Found]:
    """Columns of the signature; else those of the training data."""

    def make(one: Judged) -> list[Found]:
        record = one.first("model", ModelRecord)
        if one.signature and record is not None:
            rows = [(c.side, c.name, c.type) for c in one.signature]
            head = ("Side", "Column or tensor", "Type")
            return [table(f"{one.label}: signature", head, rows, f"{cited(record)}, MLmodel")]
        for data in one.of("dataset", DatasetRecord):
            if data.dataset.role in _ROLES_OF_TRAINING and data.columns:
                left_out = {material.declaration.columns.target, *material.declaration.columns.ids}
                columns = [(c.name, c.dtype) for c in data.columns if c.name not in left_out]
                made: list[Found] = [
                    table(f"{one.label}: columns of the training data", ("Column", "Type"), columns, cited(data))
                ]
                made.append(Lack(f"a signature of {one.label}: what it takes is told by the training data only"))
                return made
        return []

    return by_version(material, make, "what input data must look like")


def metric_limits(material: Material) -> list[Found]:
    """Limits that were declared before the measurement."""
    rows = []
    for what, metrics in (
        ("performance", material.declaration.performance.metrics),
        ("fairness", material.declaration.fairness.metrics),
    ):
        for name, limit in sorted(metrics.items()):
            low = f"at least {limit.min:g}" if limit.min is not None else ""
            high = f"at most {limit.max:g}" if limit.max is not None else ""
            rows.append((what, name, " and ".join(filter(None, (low, high))) or "no limit"))
    return [table("Declared limits", ("Policy", "Metric", "Limit"), rows, "aims.yaml")] if rows else []


def risk_process(material: Material) -> list[Found]:
    """How risks are assessed."""
    return stated(material, "risk_assessment_process")


def risks(material: Material) -> list[Found]:
    """The risk register, as far as it bears on the system."""
    rows, undecided, lapsed = [], [], []
    for one in material.state.about("risk", material.system):
        content = material.content(one, RiskContent)
        if content is None:
            lapsed.append(f"{one.record.id} cannot be read")
            continue
        left = "not judged"
        if content.residual_likelihood is not None and content.residual_consequence is not None:
            left = str(content.residual_likelihood * content.residual_consequence)
        rows.append(
            (
                one.record.id,
                content.title,
                content.source,
                str(content.likelihood * content.consequence),
                content.treatment,
                ", ".join(content.controls) or "none named",
                left,
                one.record.owner,
                str(content.review_by),
                content.status,
            )
        )
        if content.treatment == "undecided" and content.status == "open":
            undecided.append(one.record.id)
        if content.status != "closed" and (content.review_by < material.at.date() or _is_over(one, material)):
            lapsed.append(f"{one.record.id} was to be reviewed by {content.review_by}")
    if not rows and not lapsed:
        return []
    head = ("Risk", "Title", "Source", "Level", "Treatment", "Controls", "Left", "Owner", "Review by", "Status")
    made: list[Found] = [table("Risks, level from 1 to 25", head, rows, "risk register")] if rows else []
    if undecided:
        how = f"`aims risk treat ID` decides it: {', '.join(undecided[:10])}."
        made.append(Lack(f"a treatment of {', '.join(undecided[:20])}", how=how))
    if lapsed:
        made.append(Lack(f"a current review: {'; '.join(lapsed[:20])}", how="`aims risk review ID`."))
    return made


def _is_over(one: Filed, material: Material) -> bool:
    ends = one.record.ends
    return ends is not None and ends < material.at


def changes(material: Material) -> list[Found]:
    """Which version served where, since when, moved by whom, on what."""
    made: list[Found] = []
    for history in material.histories:
        rows = [
            (
                str(s.target),
                s.version,
                f"{s.since:%Y-%m-%d %H:%M}",
                f"{s.until:%Y-%m-%d %H:%M}" if s.until else "serves",
                s.by.name or "not known",
                "refused, and made all the same" if s.outcome == "refuse" else s.outcome.replace("-", " "),
                s.reason or "; ".join(s.problems) or "",
            )
            for s in history.servings
        ]
        if rows:
            head = ("Target", "Version", "Since (UTC)", "Until", "Moved by", "Decision", "Reason")
            made.append(table(f"{history.model}: versions in service", head, rows, "transition log"))
        refused = [
            (f"{r.at:%Y-%m-%d}", str(r.target), r.version or "", "; ".join(r.problems) or r.failed or "")
            for r in history.refusals
        ]
        if refused:
            of_refused = ("Date", "Target", "Version", "Why")
            made.append(table(f"{history.model}: moves that were refused", of_refused, refused, "transition log"))
    logged = {history.model for history in material.histories if history.servings}
    bare = sorted({one.name for one in material.versions if one.name} - logged)
    if made and bare:
        made.append(Lack(f"the log of {', '.join(bare)}"))
    how = "`aims verify` says where it is broken."
    made += [Lack(f"a log that can be read: {what}", how=how) for what in material.unread]
    return made


def standards(material: Material) -> list[Found]:
    """The Statement of Applicability: how many controls are in, and which are not."""
    own = list(material.records("soa"))
    made: list[Found] = []
    for one in own:
        content = material.content(one, ApplicabilityContent)
        if content is None:
            continue
        tally = Counter(line.status for line in content.lines.values() if line.applicable)
        included = [name for name, line in content.lines.items() if line.applicable]
        excluded = [(name, line.justification) for name, line in content.lines.items() if not line.applicable]
        said = (
            f"ISO/IEC 42001:2023: {len(included)} controls apply "
            f"({', '.join(f'{count} {status}' for status, count in sorted(tally.items())) or 'none'}), "
            f"{len(excluded)} are excluded. It is no harmonised standard under the Act."
        )
        made.append(Text(text=said, source=whence(one)))
        if excluded:
            made.append(table("Controls that are excluded", ("Control", "Reason"), excluded, whence(one)))
    return made


def monitoring_plan(material: Material) -> list[Found]:
    """The plan of monitoring and measurement."""
    return stated(material, "measurement_plan")


def monitoring(material: Material) -> list[Found]:
    """Monitoring that was done: drift, windows, traces, inference logs."""

    def make(one: Judged) -> list[Found]:
        made = drift_tables(material, one)
        for kind in ("monitoring", "traces", "inference_log"):
            made += custom_blocks(one, kind)
        return made

    made = by_version(material, make, "monitoring")
    policy = material.declaration.drift
    if made and policy.enabled:
        pairs = [
            ("Method", policy.method),
            ("Share of columns from which data count as drifted", f"{policy.share_limit:g}"),
            ("Reference", policy.reference),
        ]
        made += facts(pairs, "aims.yaml, drift")
    return made


def incidents(material: Material) -> list[Found]:
    """Incidents, and whether somebody looked through the log."""
    rows = []
    for one in material.state.about("incident", material.system):
        content = material.content(one, IncidentContent)
        if content is None:
            continue
        affected = ", ".join(f"{v.registered_name}/{v.version}" for v in content.affected)
        rows.append(
            (
                one.record.id,
                content.title,
                content.severity,
                f"{content.aware_at:%Y-%m-%d %H:%M}",
                affected or "not told",
                content.status,
                content.correction or "none on record",
                content.cause or "not on record",
            )
        )
    head = ("Incident", "Title", "Severity", "Aware (UTC)", "Versions", "Status", "Correction", "Cause")
    made: list[Found] = [table("Incidents", head, rows, "incident log")] if rows else []
    looked = False
    for one in material.nearest("incident_log"):
        review = material.content(one, LogReview)
        if review is not None:
            looked = True
            made.append(Text(text=f"Review of the incident log: {review.statement}", source=whence(one)))
    if made and not looked:
        made.append(Lack("a current review of the incident log", how="`aims incident review` says who looked."))
    return made


def user_help(material: Material) -> list[Found]:
    """Where users turn to, and how outsiders report harm."""
    return [*stated(material, "user_information"), *stated(material, "external_reporting_channel")]


FILLERS: dict[str, Filler] = {
    "user_help": user_help,
    "limits": limits,
    "accuracy_by_group": accuracy_by_group,
    "outcomes": outcomes,
    "input_specification": input_specification,
    "metric_limits": metric_limits,
    "risk_process": risk_process,
    "risks": risks,
    "changes": changes,
    "standards": standards,
    "monitoring_plan": monitoring_plan,
    "monitoring": monitoring,
    "incidents": incidents,
}
