"""The ACLs that docs/security.md lists, as a broker takes them: there is no other list."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from confluent_kafka.admin import AclBinding, AclOperation, ResourceType

from tests.security.servers import binding

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
_RESOURCES = {
    "Topic": ResourceType.TOPIC,
    "Group": ResourceType.GROUP,
    "TransactionalId": ResourceType.TRANSACTIONAL_ID,
}


class Row(NamedTuple):
    """A row of the table. `name` has placeholders in asterisks: `*group*-scheduler`."""

    command: str
    resource: str
    name: str
    pattern: str
    operation: str

    def binding(self, user: str, names: Mapping[str, str]) -> AclBinding:
        """Return the ACL for a user, with `names` for the placeholders."""
        name = re.sub(r"\*(.+?)\*", lambda found: names[found[1]], self.name)
        operation = AclOperation[self.operation.upper()]
        return binding(user, _RESOURCES[self.resource], name, operation, prefix=self.pattern == "prefixed")


def rows() -> list[Row]:
    """Return the table of the page."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition("| command | resource |")
    table, _, _ = rest.partition("\n\n")
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    return [Row(*(text.replace("`", "") for text in line[:5])) for line in cells]


def block(below: str) -> dict[str, str]:
    """Return the variables that the page sets in its block below a line."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(f"{below}\n\n```sh\n")
    lines = rest.partition("\n```")[0].splitlines()
    assert lines
    return dict(line.split("=", 1) for line in lines)
