"""The password for Kafka, where it is kept in a file that changes while the tracker runs.

librdkafka takes a new one for PLAIN and SCRAM, and logs in with it at each connection that it makes from then
on. Other secrets it takes only when a client is made: those of a producer are read at each new one.
"""

import time
from typing import Protocol

from tracker.settings import Settings
from tracker.settings.kafka import Client as Kind

_EVERY_S = 2.0


def secrets_of(settings: Settings, kind: Kind) -> dict[str, str]:
    """Return the properties of a kind of client that are kept in files, as they are now."""
    in_files = {item.name for item in settings.kafka if item.path}
    if not in_files:
        return {}
    return {name: text for name, text in _properties(settings, kind).items() if name in in_files}


class _TakesCredentials(Protocol):
    def set_sasl_credentials(self, username: str, password: str) -> None: ...


class RotatedPassword:
    """Hands a client the password that its file has, whenever that has changed. For one client and thread."""

    def __init__(self, settings: Settings, kind: Kind) -> None:
        self._settings = settings
        self._kind = kind
        self._is_in_file = any(item.name == "sasl.password" and item.path for item in settings.kafka)
        self._next_monotonic_s = 0.0
        self._given = self._password()

    def look(self, client: _TakesCredentials) -> None:
        """Look every few seconds; call it again and again."""
        if not self._is_in_file or time.monotonic() < self._next_monotonic_s:
            return
        self._next_monotonic_s = time.monotonic() + _EVERY_S
        password = self._password()
        if password != self._given:
            self._given = password
            username = _properties(self._settings, self._kind).get("sasl.username", "")
            client.set_sasl_credentials(username, password)

    def _password(self) -> str:
        return secrets_of(self._settings, self._kind).get("sasl.password", "")


def _properties(settings: Settings, kind: Kind) -> dict[str, str]:
    match kind:
        case "client":
            return settings.kafka_client_properties()
        case "consumer":
            return settings.consumer_properties()
        case "producer":
            return settings.producer_properties()
