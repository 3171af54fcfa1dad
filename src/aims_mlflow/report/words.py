"""The words, symbols and number forms of the reports: every closed set has its label here, and only here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from aims_mlflow.assessment import Ground, Outcome, Overall, Status
from aims_mlflow.controls import Strength
from aims_mlflow.evidence import Basis, EvidenceBase, EvidenceStatus, RuleVerdict, Verdict
from aims_mlflow.evidence.base import JsonValue

DIGITS = 16
"""Hex digits of a digest that are shown; evidence files carry the same digits in their names."""


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """How one member of a closed set is shown: never by colour alone."""

    word: str
    symbol: str
    look: str
    """Name of the style (fill and border) in the style sheet."""
    meaning: str
    rank: int = 0
    """Worst first."""


STATUS: dict[Status, Label] = {
    Status.NOT_SATISFIED: Label("not satisfied", "✗", "bad", "Evidence shows that a requirement is not met.", 0),
    Status.ERROR: Label("error", "!", "err", "It could not be judged: a collector or a check could not run.", 1),
    Status.UNCERTAIN: Label("uncertain", "▲", "unc", "Evidence is there, but its interval allows no verdict.", 2),
    Status.STALE: Label("stale", "▽", "old", "It was met; the evidence is too old or is about another version.", 3),
    Status.NO_EVIDENCE: Label("no evidence", "○", "none", "Measured evidence is missing. This is never a pass.", 4),
    Status.NEEDS_ATTESTATION: Label("needs attestation", "◇", "ask", "Only a person's statement is missing.", 5),
    Status.SATISFIED: Label("satisfied", "✓", "ok", "Every requirement is met by current evidence.", 6),
    Status.NOT_APPLICABLE: Label("not applicable", "\u2013", "na", "Excluded, with a reason.", 7),
}
ATTENTION = (Status.NOT_SATISFIED, Status.ERROR, Status.UNCERTAIN, Status.STALE)
"""Statuses to look at first, in this order."""

OVERALL: dict[Overall, Label] = {
    Overall.PASS: Label("pass", "✓", "ok", "Every applicable row is satisfied."),
    Overall.WARN: Label("warn", "▲", "unc", "Nothing failed; some rows lack evidence, a statement or certainty."),
    Overall.FAIL: Label("fail", "✗", "bad", "At least one row is not satisfied."),
    Overall.STALE: Label("stale", "▽", "old", "Nothing failed; some evidence is past its validity."),
    Overall.ERROR: Label("error", "!", "err", "Nothing failed; some rows could not be judged."),
    Overall.NOT_ASSESSED: Label("not assessed", "○", "none", "Nothing was judged."),
}

STRENGTH: dict[Strength, Label] = {
    Strength.AUTOMATIC: Label("automatic", "■■■", "s3", "Measured evidence alone can show it."),
    Strength.ASSISTED: Label("assisted", "■■□", "s2", "The tool gathers a part, a person adds a statement."),
    Strength.ATTESTED: Label("attested", "■□□", "s1", "Only a person's statement or document shows it."),
}

BASIS: dict[Basis, Label] = {
    Basis.MEASURED: Label("measured", "", "", "Computed here from the content whose digest is named."),
    Basis.REPORTED: Label("reported", "", "", "Handed over or logged to MLflow by the caller's own code."),
    Basis.DECLARED: Label("declared", "", "", "Written in aims.yaml."),
    Basis.ATTESTED: Label("attested", "", "", "A named person's statement."),
}

VERDICT: dict[Verdict, Label] = {
    Verdict.FAIL: Label("fail", "✗", "bad", "The limit is broken.", 0),
    Verdict.UNCERTAIN: Label("uncertain", "▲", "unc", "The interval straddles the limit, or a part was empty.", 2),
    Verdict.NOT_TESTED: Label("not tested", "○", "none", "Nothing was judged; the reason says why.", 3),
    Verdict.PASS: Label("pass", "✓", "ok", "The limit is kept.", 4),
    Verdict.RECORDED: Label("recorded", "□", "na", "Facts without a limit to hold them against.", 5),
}
ERROR = Label("error", "!", "err", "The record could not be made; no row accepts it.", 1)
"""Evidence whose collector could not run, whatever verdict it names."""
PAST = Label("past validity", "▽", "old", "The record's own end of validity has passed.", 1)

RULE: dict[RuleVerdict, Label] = {
    RuleVerdict.FAIL: Label("fail", "✗", "bad", "The rule is broken.", 0),
    RuleVerdict.ERROR: Label("error", "!", "err", "The rule could not run.", 1),
    RuleVerdict.UNKNOWN: Label("unknown rule", "!", "err", "The installed engine does not know this rule.", 2),
    RuleVerdict.VACUOUS: Label("nothing to judge", "○", "none", "It held only because there was nothing to judge.", 3),
    RuleVerdict.PASS: Label("pass", "✓", "ok", "The rule is met.", 4),
}

OUTCOME: dict[Outcome, Label] = {
    Outcome.FAIL: Label("fail", "✗", "bad", ""),
    Outcome.ERROR: Label("error", "!", "err", ""),
    Outcome.UNCERTAIN: Label("uncertain", "▲", "unc", ""),
    Outcome.STALE: Label("stale", "▽", "old", ""),
    Outcome.MISSING: Label("missing", "○", "none", ""),
    Outcome.PASS: Label("pass", "✓", "ok", ""),
}

KIND: dict[str, str] = {
    "capture_error": "Capture errors",
    "data_quality": "Data quality",
    "drift": "Drift",
    "performance": "Performance",
    "fairness": "Fairness",
    "dataset": "Datasets",
    "model": "Model",
    "environment": "Environment",
    "run": "Run",
    "lineage": "Lineage",
    "declaration": "Declaration",
    "attestation": "Statements",
}
"""Kind of evidence to its heading, in the order of the page; other kinds come after."""


def verdict_of(record: EvidenceBase) -> Label:
    """The label of a record; an error is shown as one whatever the verdict says."""
    return ERROR if record.status is not EvidenceStatus.OK else VERDICT[record.verdict]


def number(value: JsonValue) -> str:
    """Four significant digits; whole numbers in full with thousands marked; ``undefined`` for null, never 0."""
    if value is None:
        return "undefined"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return text_of(value)
    if isinstance(value, int) or (abs(value) >= 1e4 and abs(value) < 1e15):
        return f"{value:,.0f}" if abs(value) < 10**15 else f"{float(value):.4g}"
    return f"{value:.4g}"


def text_of(value: JsonValue, limit: int = 120) -> str:
    """Free content in one short line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return cut(text, limit)


def cut(text: str, limit: int) -> str:
    """The text, or its first part and an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def day(moment: datetime | None) -> str:
    """``2026-11-24``, empty for none."""
    return f"{moment:%Y-%m-%d}" if moment else ""


class Holds(NamedTuple):
    """Until when a finding holds, in words."""

    word: str
    """``valid until``, ``lapsed on`` or ``look again by``."""
    day: str
    ground: str

    def __str__(self) -> str:
        return f"{self.word} {self.day} ({self.ground})"


def holds(moment: datetime | None, ground: Ground | None, status: Status) -> Holds | None:
    """Until when a finding holds and what says so; None where it does not say."""
    if moment is None:
        return None
    word = "lapsed on" if status is Status.STALE and ground is not Ground.REFRESH else "valid until"
    return Holds("look again by" if ground is Ground.REFRESH else word, day(moment), str(ground or Ground.EVIDENCE))


GROUND = {
    Ground.EVIDENCE: "its evidence lapses then, the first of it: by a last day of its own or the age that is allowed",
    Ground.CYCLE: "only a new version or event does away with its evidence, and by then the management system's own "
    "cycle looks at it again (validity.version_bound_days in aims.yaml)",
    Ground.REFRESH: "it is open, or does not apply: by then it is looked at again (validity.open_days)",
}
"""What says until when a finding holds."""


def minute(moment: datetime) -> str:
    """``2026-11-24 08:30 UTC``."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def short(digest: str) -> str:
    """The first hex digits of a digest."""
    return digest.removeprefix("sha256:")[:DIGITS]


def plural(count: int, one: str, many: str = "") -> str:
    """``1 row``, ``2 rows``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
