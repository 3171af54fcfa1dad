"""The census table as the screening sees it.

Data: American Community Survey, Massachusetts, 2015 to 2018 (U.S. Census Bureau), as shipped inside the Python package
nannyml 0.13.1 (Apache-2.0). The files are read; the package is not imported.
"""

from importlib.metadata import distribution
from pathlib import Path

import pandas as pd

GROUP_QUARTERS = ("16", "17")
"""RELP codes of residents of institutions and of other group quarters."""


def residents(year, rows, *, group_quarters=False):
    """Residents of one year, of private households or of group quarters, at most ``rows`` of them."""
    folder = Path(str(distribution("nannyml").locate_file("nannyml/datasets/data")))
    table = pd.read_parquet(folder / ("employment_MA_reference.pq" if year == 2015 else "employment_MA_analysis.pq"))
    if year != 2015:
        table = table.merge(pd.read_parquet(folder / "employment_MA_analysis_target.pq"), on="id")
    chosen = table[(table["year"] == year) & (table["RELP"].astype(str).isin(GROUP_QUARTERS) == group_quarters)]
    chosen = chosen.drop(columns=["prediction", "predicted_probability"])
    return chosen.sample(min(rows, len(chosen)), random_state=0).reset_index(drop=True)


def features(table):
    """The columns a model may look at."""
    return table.drop(columns=["id", "year", "employed"])
