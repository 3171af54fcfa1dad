"""The commented ``aims.yaml`` that ``aims init`` writes."""

from __future__ import annotations

STARTER_TEMPLATE = "aims.yaml.j2"
"""Its name in the folder of the templates."""


def starter(template: str, *, system_id: str | None = None) -> str:
    """The content of a new ``aims.yaml``, from the text of the template.

    Args:
        template: The text of ``templates/aims.yaml.j2``.
        system_id: Written as ``system.id``; None leaves it empty.
    """
    from jinja2 import Environment, StrictUndefined

    # The result is YAML, not HTML; the one value put in is written as JSON, which is YAML too.
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701
    return environment.from_string(template).render(system_id=system_id)
