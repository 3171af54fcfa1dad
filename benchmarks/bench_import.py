"""What ``import aims_mlflow`` adds after ``import mlflow``: wall time and modules, median of seven fresh processes."""

from __future__ import annotations

import statistics
import subprocess
import sys

PROBE = """
import sys, time
start = time.perf_counter(); import mlflow; base = time.perf_counter() - start
ours = [m for m in sys.modules if m.split(".")[0] == "aims_mlflow"]  # MLflow loads our entry point by itself
for name in ours: del sys.modules[name]
before = set(sys.modules)
start = time.perf_counter(); import aims_mlflow, aims_mlflow.hooks.plugin; own = time.perf_counter() - start
new = set(sys.modules) - before
print(base, own, len(new), ",".join(m for m in new if m.split(".")[0] != "aims_mlflow") or "none")
"""


def main() -> None:
    rows = [
        subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(7)
    ]
    base, own = (statistics.median(float(r[i]) for r in rows) for i in (0, 1))
    print("| import mlflow, s | import aims_mlflow after it, ms | modules added | others' |")
    print("|---|---|---|---|")
    print(f"| {base:.2f} | {own * 1e3:.2f} | {rows[0][2]} | {rows[0][3]} |")


if __name__ == "__main__":
    main()
