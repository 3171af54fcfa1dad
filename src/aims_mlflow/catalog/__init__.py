"""The register as data: clauses, controls, evidence kinds, freshness, topics and crosswalks, loaded and validated.

ISO/IEC 42001 is one file, ``iso_42001.yaml``; each crosswalk is one file in ``crosswalks/``. Custom controls and
further frameworks are YAML files of the same shape, handed to :func:`load_catalog` (in ``aims.yaml``: ``frameworks``).
Such a file holds:

``framework``
    ``id``, ``title`` and ``version`` of the set of rows.
``groups``
    Group id to title; every row stands under one.
``rows``
    A list of clauses and controls: ``id``, ``title``, ``kind`` (``clause`` or ``control``), ``group``, ``summary``,
    ``strength`` (``automatic``, ``assisted`` or ``attested``), ``freshness`` and ``requires``. Each requirement has
    ``id``, ``what`` (completes "needs ..."), ``evidence`` (kinds, any of which serves), ``check``, ``remedy`` and,
    where the defaults do not fit, ``accepts``, ``where`` and ``freshness``. All requirements of a row must hold.
``freshness_profiles``, ``evidence_kinds``, ``topics``, ``checks``
    Words the rows use beyond those of the built-in file. ``checks`` maps the id of a check that a plugin provides to
    the list of its ``where`` arguments.

Or it is a crosswalk: ``crosswalk`` (``id``, ``title``, ``source``, ``note``) and ``entries``, row id to references by
confidence (``high``, ``medium``, ``low``).

Quote ids that look like numbers (``'4.1'``). ``tests/examples/acme_controls.yaml`` is a worked example.
"""

from __future__ import annotations

from aims_mlflow.catalog.loading import load_catalog, register_rows
from aims_mlflow.catalog.register import Catalog

__all__ = ["Catalog", "load_catalog", "register_rows"]
