"""What MLflow knows of a run, read once and turned into evidence."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from aims_mlflow import __version__
from aims_mlflow.evidence import (
    Basis,
    DeclarationRecord,
    EnvironmentRecord,
    LineageEdge,
    LineageRecord,
    RunRecord,
    RunRef,
    Subject,
    Tool,
    Verdict,
    canonical_json,
    sha256_of,
)

COLLECTOR = Tool(name="aims-mlflow", version=__version__)

_OWN_TAG_PREFIXES = ("aims.",)
_MUTABLE_TAGS = ("mlflow.note.content", "mlflow.loggedArtifacts", "mlflow.log-model.history", "mlflow.user")
OWN_METRIC_PREFIXES = ("aims/", "aims_drift/", "aims_quality/", "aims_fairness/")


@dataclass(frozen=True)
class RunFacts:
    """One reading of a run, free of MLflow's classes."""

    run_id: str
    experiment_id: str
    status: str
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    datasets: tuple[tuple[str, str, str | None], ...] = ()
    """Name, MLflow digest and context of each dataset input."""
    model_ids: tuple[str, ...] = ()
    """Logged models the run put out."""
    start_time: int | None = None
    end_time: int | None = None
    name: str | None = None

    @property
    def ref(self) -> RunRef:
        """The run with the digest of its content."""
        return RunRef(run_id=self.run_id, experiment_id=self.experiment_id, sha256=self.content_sha256)

    @cached_property
    def content_sha256(self) -> str:
        """``sha256:`` over params, metrics, tags and dataset inputs; our own writes left out."""
        content = {
            "run_id": self.run_id,
            "start_time": self.start_time,
            "params": dict(self.params),
            "metrics": {k: repr(v) for k, v in self.user_metrics.items()},
            "tags": {
                k: v for k, v in self.tags.items() if not k.startswith(_OWN_TAG_PREFIXES) and k not in _MUTABLE_TAGS
            },
            "datasets": sorted([name, digest] for name, digest, _ in self.datasets),
        }
        return sha256_of(canonical_json(content))

    @property
    def user_metrics(self) -> dict[str, float]:
        """The metrics the caller logged (ours left out)."""
        return {k: v for k, v in self.metrics.items() if not k.startswith(OWN_METRIC_PREFIXES)}


def facts_of(run: Any) -> RunFacts:
    """Facts of an ``mlflow.entities.Run``."""
    inputs = getattr(run, "inputs", None)
    datasets = []
    for item in getattr(inputs, "dataset_inputs", None) or ():
        context = next((t.value for t in item.tags if t.key == "mlflow.data.context"), None)
        datasets.append((item.dataset.name, item.dataset.digest, context))
    outputs = getattr(run, "outputs", None)
    models = tuple(o.model_id for o in getattr(outputs, "model_outputs", None) or ())
    info = run.info
    return RunFacts(
        run_id=info.run_id,
        experiment_id=str(info.experiment_id),
        status=str(info.status),
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        tags=dict(run.data.tags),
        datasets=tuple(datasets),
        model_ids=models,
        start_time=info.start_time,
        end_time=info.end_time,
        name=getattr(info, "run_name", None),
    )


MOST_METRICS = 200
"""Logged metrics that a record carries; MLflow itself keeps them all."""


def carried(metrics: Mapping[str, float], *, first: Collection[str] = ()) -> tuple[dict[str, float], int]:
    """The metrics a record carries, those named ``first`` before the others, and how many it leaves out."""
    ranked = sorted(metrics, key=lambda name: (name not in first, name))[:MOST_METRICS]
    return {name: metrics[name] for name in sorted(ranked)}, len(metrics) - len(ranked)


def not_carried(left_out: int) -> str:
    """The sentence that says how many logged metrics a record leaves out."""
    return f"{left_out} more logged metric{'s are' if left_out > 1 else ' is'} in MLflow and not carried here."


def run_record(
    facts: RunFacts,
    *,
    subject: Subject,
    captured_at: datetime,
    status: str | None = None,
    exception: str | None = None,
    children: Iterable[str] = (),
    limited: Collection[str] = (),
) -> RunRecord:
    """The run as evidence. ``status`` is the one the caller ended it with; the run's own where absent.

    Of more than ``MOST_METRICS`` metrics those in ``limited`` come first; the reason says how many are left out.
    """
    ended = status or facts.status
    seconds = (facts.end_time - facts.start_time) / 1000 if facts.end_time and facts.start_time else None
    metrics, left_out = carried(facts.user_metrics, first=limited)
    commit = facts.tags.get("mlflow.source.git.commit")
    dirty = facts.tags.get("mlflow.source.git.dirty", "").lower()
    note = f"The run ended {ended}" + (f" on {exception}" if exception else "") + "."
    if left_out:
        note = f"{note} {not_carried(left_out)}"
    return RunRecord(
        collector=COLLECTOR,
        basis=Basis.REPORTED,
        captured_at=captured_at,
        subject=subject,
        method="Read from the MLflow tracking store when the run ended.",
        verdict=Verdict.RECORDED,
        reason=note,
        run_status=ended,
        exception=exception,
        params=tuple(sorted(facts.params)),
        params_sha256=sha256_of(canonical_json(dict(facts.params))),
        metrics=metrics,
        git_commit=commit,
        git_dirty={"true": True, "false": False}.get(dirty, is_dirty(commit) if commit else None),
        source_type=facts.tags.get("mlflow.source.type"),
        parent_run_id=facts.tags.get("mlflow.parentRunId"),
        child_run_ids=tuple(sorted(children)),
        duration_seconds=seconds,
        numbers={"params": len(facts.params), "metrics": len(metrics) + left_out},
    )


def is_dirty(commit: str) -> bool | None:
    """Whether tracked files of the working folder differ from the commit; None where git cannot tell.

    MLflow records the commit and not whether the code was changed since. Asked once for a folder and commit.
    """
    return _is_dirty(commit, str(Path.cwd()))


@lru_cache(maxsize=16)
def _is_dirty(commit: str, folder: str) -> bool | None:
    def git(*arguments: str) -> str:
        command = ["git", "-C", folder, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=3, check=True).stdout.strip()  # noqa: S603

    try:
        if git("rev-parse", "HEAD") != commit:
            return None
        return bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None


def lineage_record(facts: RunFacts, *, subject: Subject, captured_at: datetime) -> LineageRecord:
    """Datasets, parent and models around the run, each named by content digest where it is known."""
    here = f"run:{facts.run_id}"
    edges = []
    if parent := facts.tags.get("mlflow.parentRunId"):
        edges.append(LineageEdge(source=f"run:{parent}", target=here, relation="parent"))
    for data in subject.datasets:
        label = f"dataset:{data.name or 'unnamed'}@{data.sha256 or data.mlflow_digest}"
        edges.append(LineageEdge(source=label, target=here, relation="input"))
    known = {d.mlflow_digest for d in subject.datasets}
    for name, digest, _ in facts.datasets:
        if digest not in known:
            edges.append(LineageEdge(source=f"dataset:{name}@mlflow:{digest}", target=here, relation="input"))
    model = subject.model
    for model_id in facts.model_ids:
        proof = f"@{model.sha256}" if model and model.model_id == model_id and model.sha256 else ""
        edges.append(LineageEdge(source=here, target=f"model:{model_id}{proof}", relation="output"))
    if model and not facts.model_ids:
        edges.append(
            LineageEdge(source=here, target=f"model:{model.name or model.uri}@{model.sha256}", relation="output")
        )
    unproven = sum("@mlflow:" in e.source for e in edges)
    reason = f"{len(edges)} links recorded" + (f"; {unproven} datasets known by name only." if unproven else ".")
    return LineageRecord(
        collector=COLLECTOR,
        basis=Basis.REPORTED,
        captured_at=captured_at,
        subject=subject,
        method="Run inputs, outputs and parent as MLflow keeps them, joined with full-content digests.",
        verdict=Verdict.RECORDED,
        reason=reason,
        edges=tuple(edges),
        numbers={"edges": len(edges), "inputs_without_content_digest": unproven},
    )


def declaration_record(
    *,
    subject: Subject,
    captured_at: datetime,
    sha256: str | None,
    declared: Iterable[str],
    undeclared: Iterable[str],
    content: Mapping[str, Any],
) -> DeclarationRecord:
    """What ``aims.yaml`` said at capture."""
    missing = tuple(undeclared)
    reason = (
        "There was no aims.yaml: nothing is declared."
        if sha256 is None
        else f"aims.yaml was read; {len(missing)} fields a reviewer will ask for are not filled in."
    )
    return DeclarationRecord(
        collector=COLLECTOR,
        basis=Basis.DECLARED,
        captured_at=captured_at,
        subject=subject,
        method="aims.yaml as read when the run was captured.",
        verdict=Verdict.RECORDED,
        reason=reason,
        declaration_sha256=sha256,
        declared=tuple(declared),
        undeclared=missing,
        content=dict(content),
        numbers={"undeclared": len(missing)},
    )


def process_environment(*, subject: Subject, captured_at: datetime) -> EnvironmentRecord:
    """Python and the installed distributions of this process."""
    packages = installed_packages()
    return EnvironmentRecord(
        collector=COLLECTOR,
        captured_at=captured_at,
        subject=subject,
        method="Distributions installed in the process that ended the run (importlib.metadata).",
        verdict=Verdict.RECORDED,
        reason=f"{len(packages)} installed packages with their versions.",
        python=python_version(),
        packages=packages,
        source="process",
        numbers={"packages": len(packages), "unpinned": 0},
    )


def python_version() -> str:
    """``3.11.7``."""
    return ".".join(map(str, sys.version_info[:3]))


_INSTALLED: dict[str, str] = {}


def installed_packages() -> dict[str, str]:
    """Name to version of the installed distributions; read once a process (some 20 ms)."""
    if not _INSTALLED:
        from importlib.metadata import distributions

        found: dict[str, str] = {}
        for dist in distributions():
            name = dist.metadata["Name"]
            if name:
                found.setdefault(name.lower().replace("_", "-"), dist.version)
        _INSTALLED.update(sorted(found.items()))
    return dict(_INSTALLED)
