"""Generates `docs/configuration.md`: `python -m tracker.settings.reference > docs/configuration.md`."""

import sys
from collections.abc import Iterable, Iterator
from importlib.resources import files
from string import Template

from tracker.settings import database, kafka
from tracker.settings.model import VARIABLES, Variable
from tracker.settings.refused import REFUSED, RESTRICTED
from tracker.settings.values import allowed_text


def render_reference() -> str:
    """Return the page in Markdown: the text of `reference.md` with the tables."""
    template = Template(files("tracker.settings").joinpath("reference.md").read_text("utf-8"))
    return template.substitute(
        refused="\n".join(_refused()),
        restricted="\n".join(_restricted()),
        tables="\n".join(_tables()),
        aliases="\n".join(_aliases()),
        secrets="\n".join(_secrets()),
    )


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _refused() -> Iterator[str]:
    for reason in dict.fromkeys(REFUSED.values()):
        yield _row(_code(name for name in REFUSED if REFUSED[name] == reason), reason)


def _restricted() -> Iterator[str]:
    for rule in dict.fromkeys(RESTRICTED.values()):
        _, allowed, reason = rule
        yield _row(_code(name for name in RESTRICTED if RESTRICTED[name] == rule), allowed, reason)


def _tables() -> Iterator[str]:
    for theme in dict.fromkeys(variable.about.theme for variable in VARIABLES):
        yield f"## {theme}\n"
        yield _row("Variable", "Default", "Allowed", "Meaning")
        yield "|---|---|---|---|"
        yield from (_setting(variable) for variable in VARIABLES if variable.about.theme == theme)
        yield ""


def _setting(variable: Variable) -> str:
    allowed = allowed_text(variable.annotation, variable.metadata, variable.about.unit)
    default = variable.default_text or "empty"
    if variable.default_text and not variable.about.computed_default:
        default = _code([default])
    return _row(_code([variable.name]), default, allowed, variable.about.meaning)


def _aliases() -> Iterator[str]:
    for variable in VARIABLES:
        if variable.about.alias:
            yield _row(_code([variable.about.alias]), _code([variable.name]))
    for name, keyword in database.PART_VARIABLES.items():
        yield _row(_code([name]), f"{_code([keyword])} in {_code([database.URL])}")


def _secrets() -> Iterator[str]:
    kafka_variables = (kafka.PREFIX + kafka.properties()[name].variable for name in sorted(kafka.SECRETS))
    for name in (database.URL, database.PASSWORD_PART, *kafka_variables):
        yield f"- {_code([name + '_FILE'])}"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    sys.stdout.write(render_reference())
