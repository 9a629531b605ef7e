"""Reads what `/metrics` answers."""

from prometheus_client.parser import text_string_to_metric_families


def metric_in(text: str, name: str, labels: dict[str, str]) -> float | None:
    """Return a number of what ``/metrics`` answered; None where it is not there."""
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None
