"""Live operation on a real set with a dated drift: New South Wales electricity, half hour by half hour, 1996 to 1998.

    python benchmarks/live_drift.py [--weeks 104] [--chart docs/live-drift.svg] [--json FILE]

The set (Harries 1999, "Elec2") ships in the source distribution of scikit-multiflow 0.4.1 on PyPI (BSD-3-Clause), from
which `make setup` takes it. A model is trained on 1996, and every week after is handed to `aims_mlflow.monitor` as it
would be in use: predictions at the week's end, the outcomes of a week one week later. Prints the tables of
docs/live-drift.md.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tarfile
import tempfile
import time
import warnings
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

ARCHIVE = "scikit-multiflow-0.4.1.tar.gz"
MEMBER = "scikit-multiflow-0.4.1/src/skmultiflow/data/datasets/elec.csv"
PLACE = Path(sys.prefix) / "share" / "elec2" / ARCHIVE
"""Where `make setup` puts the archive."""

DAY = 48
CHANGED = 363 * DAY
"""The first row with Victorian values; the day before it is the same date in the set's own date column."""
LINKED = pd.Timestamp("1997-05-04", tz="UTC")
"""The date of that row: Victoria's market is linked to that of New South Wales."""
TRAINED_UNTIL = pd.Timestamp("1996-10-01", tz="UTC")
LIVE_FROM = pd.Timestamp("1996-12-05", tz="UTC")
"""A Thursday, as the weeks counted from the Unix epoch begin."""
WEEK = pd.Timedelta(days=7)
INPUTS = ["period", "weekday", "nswdemand", "demand_change", "vicdemand", "transfer"]
NAME = "nsw-price"


def electricity(place: Path = PLACE) -> pd.DataFrame:
    """The set with the moment of each row.

    The shipped file has no dates. They follow from the row number, from 7 May 1996 on, 48 rows a day. Two copies of the
    set that do have its date and day-of-week columns show that 4 May 1997 stands in it twice, first without and then
    with Victorian values; the first of the two is left out here. So the set ends on 5 December 1998, as is documented.
    """
    with tarfile.open(place) as archive:
        found = archive.extractfile(MEMBER)
        assert found is not None
        frame = pd.read_csv(found)
    frame.columns = ["period", "nswprice", "nswdemand", "vicprice", "vicdemand", "transfer", "up"]
    row = np.arange(len(frame))
    half_hours = row - np.where(row >= CHANGED, DAY, 0)
    frame["time"] = pd.Timestamp("1996-05-07", tz="UTC") + pd.to_timedelta(30 * half_hours, unit="m")
    frame = frame.drop(index=range(CHANGED - DAY, CHANGED)).reset_index(drop=True)
    frame["id"] = frame.index
    frame["weekday"] = frame["time"].dt.dayofweek
    # What the price will be against its last day is asked: demand against its last day is what the model knows.
    frame["demand_change"] = frame["nswdemand"] - frame["nswdemand"].rolling(DAY, min_periods=1).mean()
    return frame


def declaration(start: pd.Timestamp = LIVE_FROM):
    """The system, and when what it does is an alarm: written down before the first live week."""
    from aims_mlflow.config import Columns, Declaration, DriftPolicy, MonitoringPolicy, System
    from aims_mlflow.config.models import ColumnDriftPolicy
    from aims_mlflow.config.monitoring import AlarmRule

    return Declaration(
        system=System(id=NAME, name="Price direction, New South Wales", purpose="Say whether the price will rise."),
        registered_models=(NAME,),
        columns=Columns(
            target="up",
            prediction="predicted",
            probability="probability",
            positive_label=1,
            ids=("id",),
            time="time",
            # A week holds every half hour of every weekday once: what the calendar decides cannot drift.
            ignore=("period", "weekday", "nswprice"),
        ),
        drift=DriftPolicy(columns={"predicted": ColumnDriftPolicy(skip=True, reason="the probability says it all")}),
        monitoring=MonitoringPolicy(
            window="1w",
            start=start.date(),
            rules=(
                AlarmRule(name="inputs", number="drift.drifted_share", above=0.5, windows=2, recover_windows=4),
                AlarmRule(name="estimated", number="estimated.accuracy", below=0.55, windows=3, recover=0.6),
                AlarmRule(name="realised", number="performance.accuracy", below=0.55, windows=3, recover=0.6),
            ),
        ),
    )


@dataclass(frozen=True)
class Week:
    """What was on record of a window in the end."""

    start: str
    rows: int
    drifted: float
    high: float
    estimated: float
    low_estimate: float
    high_estimate: float
    realised: float
    alarms: dict[str, str]
    since: dict[str, str | None]


def train(data: pd.DataFrame, uri: str):
    """A registered version; its training run keeps the training data's reference and a calibration."""
    import mlflow
    from sklearn.ensemble import HistGradientBoostingClassifier

    import aims_mlflow

    past = data[data["time"] < LIVE_FROM - pd.Timedelta(days=4)]
    fitted = past[past["time"] < TRAINED_UNTIL]
    held_out = past[past["time"] >= TRAINED_UNTIL]
    model = HistGradientBoostingClassifier(max_depth=4, max_iter=150, learning_rate=0.05, random_state=0)
    model.fit(fitted[INPUTS], fitted["up"])
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment(NAME)
    known = scored(model, past)
    with mlflow.start_run():
        dataset = mlflow.data.from_pandas(known, name="elec2-1996", targets="up")
        mlflow.log_input(dataset, context="training")
        aims_mlflow.log_data_quality(dataset, role="training", config=declaration())
        tried = scored(model, held_out)
        aims_mlflow.log_performance(
            tried["up"],
            tried["predicted"],
            y_proba=tried["probability"],
            name="elec2-autumn-1996",
            role="validation",
            config=declaration(),
        )
        mlflow.sklearn.log_model(
            model, "model", registered_model_name=NAME, serialization_format="cloudpickle", pip_requirements=[]
        )
    return model, known, float((tried["up"] == tried["predicted"]).mean())


def scored(model, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows as the application logs them: with what the model said."""
    chance = model.predict_proba(frame[INPUTS])[:, 1]
    return frame.assign(probability=chance, predicted=(chance > 0.5).astype(int)).reset_index(drop=True)


def live(weeks: int, start: pd.Timestamp = LIVE_FROM, place: Path = PLACE) -> tuple[list[Week], float]:
    """Run the weeks through the product, and read off what is on record of them; and the validated accuracy."""
    from mlflow import MlflowClient

    from aims_mlflow.config import load_settings
    from aims_mlflow.monitoring.monitor import monitor
    from aims_mlflow.monitoring.served import served_by
    from aims_mlflow.series import WindowStore

    data = electricity(place)
    # A store in SQLite keeps its artifacts beside the working directory.
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        uri = f"sqlite:///{folder}/mlflow.db"
        model, reference, validated = train(data, uri)
        config, version = declaration(start), f"models:/{NAME}/1"
        client = MlflowClient(tracking_uri=uri)
        kept = served_by(client, version, load_settings(config)).profile is not None
        given = {"config": config, "tracking_uri": uri, **({} if kept else {"reference": reference})}
        frames = [
            scored(model, data[(data["time"] >= begin) & (data["time"] < begin + WEEK)])
            for begin in (start + k * WEEK for k in range(weeks))
        ]
        frames = [frame for frame in frames if len(frame) == 7 * DAY]
        results: list = [None] * len(frames)
        for k in range(len(frames) + 1):
            if k < len(frames):
                results[k] = monitor(version, frames[k].drop(columns="up"), **given)
            if k:  # the outcomes of the week before have come
                late = frames[k - 1]
                results[k - 1] = monitor(version, late.drop(columns="up"), labels=late[["id", "up"]], **given)
        history = WindowStore(client, config.monitoring).history(NAME, "1")
        found = [_week(numbers, result) for numbers, result in zip(history, results, strict=True)]
    return found, validated


def _week(numbers, result) -> Week:
    value, low, high = numbers.numbers, numbers.lows, numbers.highs
    name = "estimated.accuracy"
    return Week(
        start=f"{numbers.window.start:%Y-%m-%d}",
        rows=int(value["rows"]),
        drifted=value["drift.drifted_share"],
        high=high.get("drift.drifted_share", value["drift.drifted_share"]),
        estimated=value[name],
        low_estimate=low[name],
        high_estimate=high[name],
        realised=value["performance.accuracy"],
        alarms={state.rule: state.state for state in result.alarms},
        since={state.rule: state.since.isoformat() if state.since else None for state in result.alarms},
    )


def tracking(weeks: list[Week], validated: float) -> dict[str, float]:
    """How near the estimate came to what the outcomes showed, by the week and as means of four."""
    estimated = np.array([week.estimated for week in weeks])
    realised = np.array([week.realised for week in weeks])
    whole = len(weeks) // 4 * 4
    by_four = [values[:whole].reshape(-1, 4).mean(axis=1) for values in (estimated, realised)]
    return {
        "weeks": len(weeks),
        "estimated": float(estimated.mean()),
        "realised": float(realised.mean()),
        "error": float(np.abs(estimated - realised).mean()),
        "error of the validated accuracy": float(np.abs(validated - realised).mean()),
        "error, four weeks": float(np.abs(by_four[0] - by_four[1]).mean()),
        "error of the validated accuracy, four weeks": float(np.abs(validated - by_four[1]).mean()),
        "inside the interval": float(np.mean([w.low_estimate <= w.realised <= w.high_estimate for w in weeks])),
    }


def before_and_after(weeks: list[Week]) -> tuple[list[Week], list[Week]]:
    """The weeks that ended before the market was linked, and those that began after."""
    before = [week for week in weeks if pd.Timestamp(week.start, tz="UTC") + WEEK <= LINKED]
    return before, [week for week in weeks if pd.Timestamp(week.start, tz="UTC") >= LINKED]


def chart(weeks: list[Week]) -> str:
    """Share of drifted columns above, accuracy below, week by week, as an SVG."""
    wide, high, left = 760, 150, 48
    step = (wide - left - 12) / (len(weeks) - 1)
    x = [left + k * step for k in range(len(weeks))]
    linked = left + (LINKED - pd.Timestamp(weeks[0].start, tz="UTC")) / WEEK * step

    def line(values: list[float], low: float, top: float, offset: float, colour: str, extra: str = "") -> str:
        points = " ".join(
            f"{px:.1f},{offset + high - (v - low) / (top - low) * high:.1f}" for px, v in zip(x, values, strict=True)
        )
        return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5" {extra}/>'

    def axis(low: float, top: float, offset: float, ticks: list[float], title: str) -> str:
        parts = [f'<text x="{left}" y="{offset - 8}" font-weight="bold">{title}</text>']
        for tick in ticks:
            y = offset + high - (tick - low) / (top - low) * high
            parts.append(f'<line x1="{left}" x2="{wide - 12}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
            parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
        return "".join(parts)

    lower = high + 70
    outline = [
        *zip(x, (week.low_estimate for week in weeks), strict=True),
        *zip(reversed(x), (week.high_estimate for week in reversed(weeks)), strict=True),
    ]
    spread = " ".join(f"{px:.1f},{lower + high - (v - 0.4) / 0.5 * high:.1f}" for px, v in outline)
    limit = 30 + high - 0.5 * high
    dates = "".join(
        f'<text x="{x[k]:.1f}" y="{lower + high + 18}" text-anchor="middle">{weeks[k].start[:7]}</text>'
        for k in range(0, len(weeks), 13)
    )
    raised = next((k for k, week in enumerate(weeks) if week.alarms["inputs"] == "alarm"), None)
    mark = "" if raised is None else f'<circle cx="{x[raised]:.1f}" cy="{limit:.1f}" r="4" fill="#b3261e"/>'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {lower + high + 50}" '
            'font-family="sans-serif" font-size="11" fill="#222">',
            '<rect width="100%" height="100%" fill="#fff"/>',
            axis(0, 1, 30, [0, 0.5, 1], "Share of columns that drifted; dot: the alarm is raised"),
            f'<line x1="{left}" x2="{wide - 12}" y1="{limit}" y2="{limit}" stroke="#b3261e" stroke-dasharray="4 3"/>',
            line([w.drifted for w in weeks], 0, 1, 30, "#1f4e79"),
            mark,
            axis(0.4, 0.9, lower, [0.4, 0.5, 0.6, 0.7, 0.8, 0.9], "Accuracy: estimated with its interval, realised"),
            f'<polygon points="{spread}" fill="#1f4e79" opacity="0.15"/>',
            line([w.estimated for w in weeks], 0.4, 0.9, lower, "#1f4e79"),
            line([w.realised for w in weeks], 0.4, 0.9, lower, "#c77700"),
            f'<line x1="{linked:.1f}" x2="{linked:.1f}" y1="20" y2="{lower + high}" stroke="#222" '
            'stroke-dasharray="2 3"/>',
            f'<text x="{linked + 4:.1f}" y="{high + 24}">4 May 1997: markets linked</text>',
            dates,
            f'<text x="{left}" y="{lower + high + 40}"><tspan fill="#1f4e79">estimated before labels</tspan>, '
            '<tspan fill="#c77700">realised once they had come</tspan></text>',
            "</svg>",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weeks", type=int, default=104)
    parser.add_argument("--chart", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    begun = time.process_time()
    weeks, validated = live(given.weeks)
    print(f"{len(weeks)} weeks, {time.process_time() - begun:.0f} s of CPU; validated accuracy {validated:.3f}\n")
    print("| week from | drifted columns | rule `inputs` | estimated accuracy | realised accuracy |")
    print("|---|---|---|---|---|")
    for week in weeks:
        estimate = f"{week.estimated:.3f} ({week.low_estimate:.3f} to {week.high_estimate:.3f})"
        print(f"| {week.start} | {week.drifted:.2f} | {week.alarms['inputs']} | {estimate} | {week.realised:.3f} |")
    for title, part in zip(("before", "after"), before_and_after(weeks), strict=True):
        if part:
            print(f"\n{title}: largest share {max(w.drifted for w in part):.2f}, ", end="")
            print(f"smallest {min(w.drifted for w in part):.2f};", json.dumps(tracking(part, validated)))
    raised = {rule: sorted({w.since[rule] for w in weeks if w.since[rule]}) for rule in weeks[0].since}
    print("\nepisodes:", json.dumps(raised))
    if given.chart:
        given.chart.write_text(chart(weeks), encoding="utf-8")


if __name__ == "__main__":
    main()
