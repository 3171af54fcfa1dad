"""What ``import aims_mlflow`` adds after ``import mlflow``: wall time and modules, median of seven fresh processes."""

from __future__ import annotations

import statistics
import subprocess
import sys

PROBE = """
import sys, time
start = time.perf_counter(); import mlflow; base = time.perf_counter() - start
before = len(sys.modules); start = time.perf_counter(); import aims_mlflow; own = time.perf_counter() - start
heavy = [m for m in ("great_expectations", "evidently", "scipy") if m in sys.modules]
print(base, own, len(sys.modules) - before, ",".join(heavy) or "none")
"""


def main() -> None:
    rows = [
        subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(7)
    ]
    base, own = (statistics.median(float(r[i]) for r in rows) for i in (0, 1))
    print("| import mlflow, s | import aims_mlflow after it, ms | modules added | heavy ones loaded |")
    print("|---|---|---|---|")
    print(f"| {base:.2f} | {own * 1e3:.2f} | {rows[0][2]} | {rows[0][3]} |")


if __name__ == "__main__":
    main()
