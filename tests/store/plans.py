"""The plans of the statements that a store executes, as the server's auto_explain reports them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

SETTINGS = {
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_buffers": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_format": "json",
    "auto_explain.log_level": "notice",
}


@dataclass(frozen=True)
class Plan:
    """An executed plan."""

    statement: str
    root: dict[str, Any]
    parents: dict[str, str]  # of hash partitions of tables and indexes: of what they are a part

    def nodes(self) -> Iterator[dict[str, Any]]:
        """Yield all nodes, those below a node after it."""
        open_nodes = [self.root]
        while open_nodes:
            node = open_nodes.pop()
            yield node
            open_nodes += node.get("Plans", ())

    def indexes(self) -> set[str]:
        """Return the names of the indexes that are read."""
        names = {node["Index Name"] for node in self.nodes() if "Index Name" in node}
        return {self.parents.get(name, name) for name in names}

    def whole_tables(self) -> set[str]:
        """Return the names of the tables that are read as a whole."""
        names = {node["Relation Name"] for node in self.nodes() if node["Node Type"] == "Seq Scan"}
        return {self.parents.get(name, name) for name in names}

    def rows_looked_at(self) -> int:
        """Return how many rows the busiest node looked at, with those that it threw away."""
        return max(_rows(node) for node in self.nodes())

    def buffers(self) -> int:
        """Return how many pages were asked for, each as often as it was."""
        return int(self.root["Shared Hit Blocks"] + self.root["Shared Read Blocks"])


class PlanLog:
    """Keeps the plans of all that is executed on a connection from now on."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._plans: list[Plan] = []
        rows = connection.execute(
            """
            SELECT part.relname, whole.relname FROM pg_inherits
            JOIN pg_class AS part ON part.oid = inhrelid JOIN pg_class AS whole ON whole.oid = inhparent
            """
        ).fetchall()
        self._parents: dict[str, str] = dict(rows)
        connection.execute("LOAD 'auto_explain'")
        for name, value in SETTINGS.items():
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        connection.add_notice_handler(self._take)

    def take(self) -> list[Plan]:
        """Return the plans since the last call."""
        plans, self._plans = self._plans, []
        return plans

    def _take(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        text = diagnostic.message_primary or ""
        if text.startswith("duration:"):
            report = json.loads(text.partition("plan:\n")[2])
            self._plans.append(Plan(report["Query Text"], report["Plan"], self._parents))


def watched(connection: psycopg.Connection[Any]) -> PlanLog:
    """Keep the plans of a connection; skip the test where the server cannot report them."""
    try:
        return PlanLog(connection)
    except psycopg.errors.UndefinedFile:
        pytest.skip("this PostgreSQL has no auto_explain")


def undo() -> None:
    """Undo the transaction whose block this ends."""
    raise psycopg.Rollback


def _rows(node: dict[str, Any]) -> int:
    thrown_away = sum(count for name, count in node.items() if name.startswith("Rows Removed by"))
    return int((node["Actual Rows"] + thrown_away) * node["Actual Loops"])


def lock_orders(plan: Plan) -> list[tuple[str, ...]]:
    """Return, of each place where rows are locked, the columns by whose order they come to it."""
    return [_order_of(_source(node)) for node in plan.nodes() if node["Node Type"] == "LockRows"]


def _source(node: dict[str, Any]) -> dict[str, Any]:
    """Return the node from which the rows come; others below it are common table expressions."""
    return next(below for below in node["Plans"] if below["Parent Relationship"] in ("Outer", "Subquery"))


def _order_of(node: dict[str, Any]) -> tuple[str, ...]:
    """Return the columns of the sort from which the rows come, through what leaves them in their order."""
    while "Sort Key" not in node:
        if node["Node Type"] not in ("Nested Loop", "Subquery Scan", "Unique"):
            return (node["Node Type"],)
        node = _source(node)
    return tuple(key.rpartition(".")[2].partition(" ")[0] for key in node["Sort Key"])
