"""Turns a filter and a sort of jobs into SQL: the parts of a statement that depend on the query.

A value only ever becomes a parameter. What becomes text is a part of a statement from a file, the name of a
column, an operator or a direction: all of these are in this module or in a file.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from psycopg.sql import SQL, Composable, Identifier, Placeholder

from tracker.job_filter import (
    AllOf,
    AnyOf,
    Begins,
    Compares,
    Comparison,
    DependsOn,
    HasAttempt,
    HasLabel,
    HasName,
    HasPercentage,
    HasStatus,
    HasText,
    HasTime,
    IsNull,
    JobFilter,
    Like,
    NoneOf,
    Not,
    OneOf,
    TextField,
    TextTest,
    TimeField,
    WaitsFor,
    conjuncts,
)
from tracker.job_status import STATUSES, JobStatus
from tracker.store.queries import query
from tracker.store.steps import Query

SORT_COLUMNS = MappingProxyType(
    {
        "createTime": ("create_time", "job_key"),
        "lastUpdateTime": ("last_update_time", "job_key"),
        "id": ("partition_id", "job_id"),
    }
)
"""For each sort, its column and the one that decides between equal values, so that the order is total."""
_BY_END = "end"
_COLUMNS = MappingProxyType({**SORT_COLUMNS, _BY_END: ("end_time", "job_key")})
_TEXTS = MappingProxyType(
    {TextField.ID: Identifier("job", "job_id"), TextField.NAME: Identifier("job", "name")}
)
_TIMES = MappingProxyType(
    {
        TimeField.CREATE_TIME: Identifier("job", "create_time"),
        TimeField.LAST_UPDATE_TIME: Identifier("job", "last_update_time"),
    }
)
_OPERATORS = MappingProxyType({comparison: SQL(comparison.value) for comparison in Comparison})
_TRUE, _FALSE = SQL("true"), SQL("false")


def list_jobs(
    wanted: JobFilter,
    sort: str,
    limit: int | None,
    after: tuple[datetime, int] | tuple[str, str] | None = None,
    *,
    descending: bool,
) -> Query:
    """Return the statement that lists jobs, sorted by one of `SORT_COLUMNS`; all of them without a limit.

    `after` is the position of a job, the values of its columns of the sort: those after it are listed.
    """
    order = _order(sort, descending=descending)
    search, conditions = _search(wanted, sort, limit, order, _After(after, sort, descending))
    by_id = sort == "id"
    return Query(
        query("list_jobs").format(
            search=search, order=order, time=SQL(SORT_COLUMNS["createTime" if by_id else sort][0])
        ),
        conditions.parameters | {"limit": limit},
    )


def _search(
    wanted: JobFilter, sort: str, limit: int | None, order: Composable, after: "_After"
) -> tuple[Composable, "_Conditions"]:
    """Return how the jobs are found, by the index that has the fewest others."""
    parts = conjuncts(wanted)
    root = next((part for part in parts if isinstance(part, DependsOn)), None)
    if root is not None:
        conditions = _Conditions()
        dependents = conditions.dependents(root)
        others = [part for part in parts if part is not root]
        found = query("search_dependents").format(
            partition_id=conditions.value(root.name.partition_id),
            dependents=dependents,
            conditions=conditions.all_of(others, after),
            order=order,
        )
        return found, conditions
    statuses = _statuses(parts)
    if statuses is not None and JobStatus.COMPLETED not in statuses and not _has_names(wanted):
        conditions = _Conditions({"statuses": [status.number for status in statuses]})
        others = [part for part in parts if not isinstance(part, HasStatus)]
        search = query("search_each_status" if sort == "createTime" else "search_open")
        return search.format(conditions=conditions.all_of(others, after), order=order), conditions
    if sort == "lastUpdateTime" and not _has_names(wanted):
        return _search_updated(parts, limit, order, after)
    conditions = _Conditions(has_tenant=True)
    placeholders = {"conditions": conditions.all_of(_with_tenants(parts), after), "order": order}
    tenants: Composable = SQL("tenant")
    if limit is not None and all(isinstance(part, HasStatus) for part in parts):
        tenants = query("first_tenants").format(**placeholders)
    return query("search_each_tenant").format(tenants=tenants, **placeholders), conditions


def _search_updated(
    parts: Sequence[JobFilter], limit: int | None, order: Composable, after: "_After"
) -> tuple[Composable, "_Conditions"]:
    """Return how jobs of any status are found by last update: what is completed by its end."""
    wanted = _statuses(tuple(parts))
    is_open = (status for status in STATUSES if status is not JobStatus.COMPLETED)
    conditions = _Conditions(
        {"statuses": [status.number for status in is_open if wanted is None or status in wanted]}
    )
    others = [part for part in parts if not isinstance(part, HasStatus)]
    open_jobs = query("search_open_updated").format(conditions=conditions.all_of(others, after), order=order)
    conditions.has_tenant = True
    with_end = {
        "conditions": _both("completed_with_end", conditions.all_of(others, replace(after, sort=_BY_END))),
        "order": _order(_BY_END, descending=after.descending),
    }
    if limit is not None and all(_is_of_tenant(part) for part in others):
        first = query("first_tenants").format(**with_end)
        completed = query("search_completed").format(tenants=first, **with_end)
    else:
        completed = query("search_each_tenant").format(tenants=SQL("tenant"), **with_end)
    without_end = query("search_each_tenant").format(
        tenants=SQL("tenant"),
        conditions=_both("completed_without_end", conditions.all_of(others, after)),
        order=order,
    )
    search = query("search_updated").format(
        open=open_jobs, completed=completed, without_end=without_end, order=order
    )
    return search, conditions


def _both(part: str, condition: Composable) -> Composable:
    return SQL("\nAND ").join([query(part), condition])


def _is_of_tenant(part: JobFilter) -> bool:
    return isinstance(part, HasText) and part.field is TextField.PARTITION_ID


def list_first_jobs(
    wanted: JobFilter,
    limit: int,
    looked_at: int,
    after: tuple[datetime, int] | tuple[str, str] | None,
    *,
    descending: bool,
) -> Query | None:
    """Return the statement that looks for jobs that match among about `looked_at`, the first by create time.

    None: an index has those that match, or all jobs match. The planner cannot know which labels and texts are
    rare: it reads five million jobs and sorts them, where the first hundred have the label.
    """
    parts = conjuncts(wanted)
    statuses = _statuses(parts)
    if (statuses is not None and JobStatus.COMPLETED not in statuses) or _has_names(wanted):
        return None
    tenants = [part for part in parts if _is_of_tenant(part)]
    others = [part for part in parts if part not in tenants]
    if all(isinstance(part, HasStatus) for part in others):
        return None
    conditions = _Conditions(has_tenant=True, job_by_job=True)
    order, reverse = (
        _order("createTime", descending=descending),
        _order("createTime", descending=not descending),
    )
    search = query("search_newest").format(
        order=order,
        reverse=reverse,
        operator=_OPERATORS[Comparison.GREATER_EQUAL if descending else Comparison.LESS_EQUAL],
        tenants=conditions.all_of(tenants),
        position=conditions.all_of([], _After(after, "createTime", descending)),
        conditions=conditions.all_of(others),
    )
    listed = query("list_jobs").format(search=search, order=order, time=SQL("create_time"))
    return Query(listed, conditions.parameters | {"limit": limit, "looked_at": looked_at})


def _order(sort: str, *, descending: bool) -> Composable:
    direction = SQL(" DESC") if descending else SQL("")
    return SQL(", ").join(SQL(column) + direction for column in _COLUMNS[sort])


def count_jobs(wanted: JobFilter) -> Query:
    """Return the statement that counts jobs."""
    conditions = _Conditions(has_tenant=True)
    condition = conditions.all_of(_with_tenants(conjuncts(wanted)))
    return Query(query("count_jobs").format(conditions=condition), conditions.parameters)


def find_open_jobs(wanted: JobFilter, limit: int, after: tuple[datetime, int] | None) -> Query | None:
    """Return the statement that finds the first jobs that match, the oldest first, by their index.

    None: completed jobs can be among them. Then `find_jobs_of_tenant` finds them, tenant by tenant. Both look
    at each job once, however many steps there are, and so for the labels of each.
    """
    parts = conjuncts(wanted)
    statuses = _statuses(parts)
    if statuses is None or JobStatus.COMPLETED in statuses or _has_names(wanted):
        return None
    conditions = _Conditions({"statuses": [status.number for status in statuses]}, job_by_job=True)
    others = [part for part in parts if not isinstance(part, HasStatus)]
    order = _order("createTime", descending=False)
    search = query("search_each_status").format(
        conditions=conditions.all_of(others, _After(after, "createTime", descending=False)), order=order
    )
    return Query(
        query("find_keys").format(search=search, order=order), conditions.parameters | {"limit": limit}
    )


def find_matching_tenants(wanted: JobFilter) -> Query:
    """Return the statement that finds the keys of the tenants of which jobs can match."""
    conditions = _Conditions(has_tenant=True)
    tenants = [part for part in _with_tenants(conjuncts(wanted)) if _is_of_tenant(part)]
    return Query(
        query("find_matching_tenants").format(conditions=conditions.all_of(tenants)), conditions.parameters
    )


def find_jobs_of_tenant(wanted: JobFilter, tenant_key: int, limit: int, after: int) -> Query:
    """Return the statement that finds the first jobs of a tenant that match, after a job_key."""
    conditions = _Conditions(has_tenant=True, job_by_job=True)
    matching = conditions.all_of(conjuncts(wanted))
    position = query("follows_key").format(value=conditions.value(after))
    order = SQL("job_key")
    search = query("search_each_tenant").format(
        tenants=query("one_tenant").format(tenant_key=conditions.value(tenant_key)),
        conditions=SQL("\nAND ").join([position, matching]),
        order=order,
    )
    return Query(
        query("find_keys").format(search=search, order=order), conditions.parameters | {"limit": limit}
    )


def find_some_jobs(wanted: JobFilter, limit: int) -> Query:
    """Return the statement that finds any jobs that match."""
    conditions = _Conditions(has_tenant=True)
    condition = conditions.all_of(_with_tenants(conjuncts(wanted)))
    return Query(query("find_some").format(conditions=condition), conditions.parameters | {"limit": limit})


def lock_matching_jobs(wanted: JobFilter, keys: Mapping[str, object]) -> Query:
    """Return the statement that locks jobs by their keys, in the order of these, if they still match."""
    conditions = _Conditions(has_tenant=True, job_by_job=True)
    matching = conditions.all_of(conjuncts(wanted))
    return Query(query("lock_matching_jobs").format(conditions=matching), {**conditions.parameters, **keys})


def can_have(wanted: JobFilter, statuses: Iterable[JobStatus]) -> bool:
    """Return whether a job that matches can have one of these statuses."""
    possible = _statuses(conjuncts(wanted))
    return bool(set(statuses) & set(STATUSES if possible is None else possible))


def uncounted(wanted: JobFilter) -> tuple[JobStatus, ...] | None:
    """Return the statuses of all jobs that do not match, if an index has them; otherwise None."""
    parts = conjuncts(wanted)
    statuses = _statuses(parts)
    if not all(isinstance(part, HasStatus) for part in parts):
        return None
    if statuses is None:
        return ()
    if JobStatus.COMPLETED not in statuses:
        return None
    return tuple(status for status in STATUSES if status not in statuses)


def _statuses(parts: tuple[JobFilter, ...]) -> tuple[JobStatus, ...] | None:
    """Return the statuses that a job can have that matches all parts; None: any."""
    sets = [set(part.statuses) for part in parts if isinstance(part, HasStatus)]
    if any(isinstance(part, DependsOn) for part in parts):
        sets.append({status for status in STATUSES if status <= JobStatus.FAILED})
    return tuple(status for status in STATUSES if status in set.intersection(*sets)) if sets else None


def _has_names(wanted: JobFilter) -> bool:
    """Return whether the names of jobs are needed, which only the table of tenants has in full."""
    match wanted:
        case HasName():
            return True
        case AllOf() | AnyOf():
            return any(map(_has_names, wanted.parts))
        case Not():
            return _has_names(wanted.part)
    return False


def _with_tenants(parts: tuple[JobFilter, ...]) -> list[JobFilter]:
    """Return the parts, and of names the partition IDs too, so that other tenants are left out at once."""
    tenants: list[JobFilter] = []
    for part in parts:
        if isinstance(part, HasName):
            partition_ids = sorted({name.partition_id for name in part.names})
            tenants.append(HasText(TextField.PARTITION_ID, OneOf(tuple(partition_ids))))
        if isinstance(part, DependsOn):
            tenants.append(HasText(TextField.PARTITION_ID, OneOf((part.name.partition_id,))))
    return [*tenants, *parts]


@dataclass(frozen=True)
class _After:
    """Where a list begins: after a position, or with the first job."""

    position: tuple[datetime, int] | tuple[str, str] | None
    sort: str
    descending: bool


@dataclass
class _Conditions:
    """Conditions of a statement, and the values that they have as parameters."""

    parameters: dict[str, object] = field(default_factory=dict)
    has_tenant: bool = False  # whether the search has the table of tenants where the conditions are
    job_by_job: bool = False  # whether the labels of each job are looked for, not the jobs of each label

    def all_of(self, parts: Sequence[JobFilter], after: _After | None = None) -> Composable:
        found = [self._of(part) for part in parts]
        if after is not None and after.position is not None:
            found.append(self._of_position(after, *after.position))
        return SQL("\nAND ").join(found) if found else _TRUE

    def _of_position(self, after: _After, first: object, second: object) -> Composable:
        values = {"first": self.value(first), "second": self.value(second)}
        if after.sort == "id" and self.has_tenant:
            return query("follows_id_descending" if after.descending else "follows_id").format(**values)
        operator = _OPERATORS[Comparison.LESS if after.descending else Comparison.GREATER]
        if after.sort == "id":
            return query("follows_name").format(operator=operator, **values)
        time = Identifier("job", _COLUMNS[after.sort][0])
        return query("follows_time").format(time=time, operator=operator, **values)

    def value(self, value: object) -> Placeholder:
        """Return the placeholder of a value, which becomes a parameter."""
        name = f"value_{len(self.parameters)}"
        self.parameters[name] = value
        return Placeholder(name)

    def _of(self, wanted: JobFilter) -> Composable:  # noqa: C901, PLR0911 - a line for each kind of condition
        match wanted:
            case AllOf():
                return SQL("({})").format(self.all_of(wanted.parts))
            case AnyOf():
                parts = [self._of(part) for part in wanted.parts]
                return SQL("({})").format(SQL("\nOR ").join(parts)) if parts else _FALSE
            case Not():
                return SQL("({}) IS NOT TRUE").format(self._of(wanted.part))
            case HasName():
                return self._of_names(wanted)
            case HasStatus():
                return self._of_statuses(wanted.statuses)
            case HasText():
                return self._of_text(wanted)
            case HasLabel():
                return self._of_label(wanted)
            case WaitsFor():
                return self._of_prerequisite(wanted.test)
            case DependsOn():
                return self._of_dependents(wanted)
            case HasPercentage():
                return self._of_percentage(wanted)
            case HasAttempt():
                return self._of_attempt(wanted)
            case HasTime():
                return self._of_time(wanted)
        raise TypeError(f"{type(wanted).__name__} is not a kind of filter")

    def _of_names(self, wanted: HasName) -> Composable:
        return query("matches_name").format(
            partition_ids=self.value([name.partition_id for name in wanted.names]),
            job_ids=self.value([name.job_id for name in wanted.names]),
        )

    def _of_statuses(self, statuses: tuple[JobStatus, ...]) -> Composable:
        part = "matches_status" if JobStatus.COMPLETED in statuses else "matches_open_status"
        return query(part).format(statuses=self.value([status.number for status in statuses]))

    def _of_text(self, wanted: HasText) -> Composable:
        if wanted.field is not TextField.PARTITION_ID:
            return self._test(wanted.test, _TEXTS[wanted.field])
        if self.has_tenant:
            return self._test(wanted.test, Identifier("tenant", "partition_id"))
        if isinstance(wanted.test, OneOf) and len(wanted.test.values) == 1:
            return query("matches_tenant").format(value=self.value(wanted.test.values[0]))
        test = self._test(wanted.test, Identifier("wanted_tenant", "partition_id"))
        return query("matches_partition").format(test=test)

    def _of_label(self, wanted: HasLabel) -> Composable:
        key = self.value(wanted.key)
        if wanted.test is None:
            return query("has_label").format(key=key, fence=self._fence())
        test = self._test(wanted.test, Identifier("label", "label_value"))
        return query("matches_label").format(key=key, test=test, fence=self._fence())

    def _of_prerequisite(self, test: TextTest | None) -> Composable:
        if test is None:
            return query("waits_for")
        rendered = self._test(test, Identifier("prerequisite", "prerequisite_job_id"))
        return query("matches_prerequisite").format(test=rendered)

    def _of_dependents(self, wanted: DependsOn) -> Composable:
        if wanted.transitive:
            return query("is_downstream").format(dependents=self.dependents(wanted))
        return query("waits_for_job").format(
            partition_id=self.value(wanted.name.partition_id),
            job_id=self.value(wanted.name.job_id),
            fence=self._fence(),
        )

    def dependents(self, root: DependsOn) -> Composable:
        """Return the statement that finds the keys of the jobs that wait for one."""
        return query("find_downstream" if root.transitive else "find_dependents").format(
            partition_id=self.value(root.name.partition_id), job_id=self.value(root.name.job_id)
        )

    def _fence(self) -> Composable:
        """Return what keeps the planner from making a join of a subquery."""
        return SQL("OFFSET 0") if self.job_by_job else SQL("")

    def _test(self, test: TextTest, text: Composable) -> Composable:  # noqa: PLR0911
        match test:
            case OneOf((value,)):
                return query("text_equals").format(text=text, value=self.value(value))
            case OneOf():
                return query("text_is_one_of").format(text=text, value=self.value(list(test.values)))
            case NoneOf():
                return query("text_is_none_of").format(text=text, value=self.value(list(test.values)))
            case Begins():
                return query("text_begins").format(text=text, value=self.value(test.prefix))
            case Like():
                part = query("text_is_unlike" if test.negated else "text_is_like")
                return part.format(text=text, value=self.value(_like(test.pattern)))
            case Compares():
                return query("text_compares").format(
                    text=text, operator=_OPERATORS[test.comparison], value=self.value(test.value)
                )
            case IsNull():
                return query("text_is_not_null" if test.negated else "text_is_null").format(text=text)

    def _of_percentage(self, wanted: HasPercentage) -> Composable:
        hundredths: list[Decimal] = [value * 100 for value in wanted.values]
        if wanted.comparison is None:
            return query("percentage_is_one_of").format(value=self.value(hundredths))
        return query("percentage_compares").format(
            operator=_OPERATORS[wanted.comparison], value=self.value(hundredths[0])
        )

    def _of_attempt(self, wanted: HasAttempt) -> Composable:
        if wanted.comparison is None:
            return query("attempt_is_one_of").format(value=self.value(list(wanted.values)))
        return query("attempt_compares").format(
            operator=_OPERATORS[wanted.comparison], value=self.value(wanted.values[0])
        )

    def _of_time(self, wanted: HasTime) -> Composable:
        time = _TIMES[wanted.field]
        if wanted.comparison is None:
            return query("time_is_one_of").format(time=time, value=self.value(list(wanted.values)))
        comparison, value = _whole_milliseconds(wanted.comparison, wanted.values[0])
        return query("time_compares").format(
            time=time, operator=_OPERATORS[comparison], value=self.value(value)
        )


def _whole_milliseconds(comparison: Comparison, time_ms: int) -> tuple[Comparison, int]:
    """Return the same for times that are not rounded down to milliseconds first, so that an index helps."""
    match comparison:
        case Comparison.GREATER:
            return Comparison.GREATER_EQUAL, time_ms + 1
        case Comparison.LESS_EQUAL:
            return Comparison.LESS, time_ms + 1
    return comparison, time_ms


def _like(pattern: str) -> str:
    """Return a pattern of LIKE that means what a pattern with ``*`` does."""
    for special in r"\%_":
        pattern = pattern.replace(special, f"\\{special}")
    return pattern.replace("*", "%")
