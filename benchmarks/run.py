"""All figures of docs/benchmarks.md, one after the other: `make bench` (about ten minutes; `--quick` about one)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SETS = {
    "Import after mlflow": [["bench_import.py"]],
    "End of a run without data": [["bench_attach.py", "--runs", "60", "--http"]],
    "Quality and drift, as captured": [["bench_capture.py", "--rows", "100000", "1000000", "--linear"]],
    "Quality alone": [["bench_quality.py"]],
    "Drift alone": [["bench_drift.py", "--rows", "100000", "1000000", "--linear"]],
    "Profiles": [["bench_sketches.py"]],
    "Fairness": [["bench_fairness.py"]],
    "The registry gate": [["bench_gate.py"]],
    "The gap over many systems": [["bench_management.py"]],
}
QUICK = {
    "End of a run without data": [["bench_attach.py", "--runs", "20"]],
    "Quality and drift, as captured": [["bench_capture.py", "--rows", "100000"]],
}


def main() -> None:
    for title, commands in (QUICK if "--quick" in sys.argv else SETS).items():
        print(f"\n## {title}\n", flush=True)
        for command in commands:
            if (HERE / command[0]).exists():
                subprocess.run([sys.executable, str(HERE / command[0]), *command[1:]], check=True)


if __name__ == "__main__":
    main()
