"""The password for Kafka, if it is in a file that changes while the tracker runs.

For PLAIN and SCRAM, librdkafka accepts a new password, and logs in with it at each later connection. It
accepts other secrets only when a client is made, so a producer's secrets are read for each new producer.
"""

import time
from typing import Protocol

from tracker.settings import Settings
from tracker.settings.kafka import Client as Kind

_EVERY_S = 2.0


def secrets_of(settings: Settings, kind: Kind) -> dict[str, str]:
    """Return the properties of a kind of client whose values are in files, as the files are now."""
    in_files = {item.name for item in settings.kafka if item.path}
    if not in_files:
        return {}
    return {name: text for name, text in _properties(settings, kind).items() if name in in_files}


class _HasCredentials(Protocol):
    def set_sasl_credentials(self, username: str, password: str) -> None: ...


class RotatedPassword:
    """Gives a client its password again whenever the file has changed. For one client and one thread."""

    def __init__(self, settings: Settings, kind: Kind) -> None:
        self._settings = settings
        self._kind = kind
        self._is_in_file = any(item.name == "sasl.password" and item.path for item in settings.kafka)
        self._next_monotonic_s = 0.0
        self._current = self._password()

    def update(self, client: _HasCredentials) -> None:
        """Read the file if some seconds have passed; to be called regularly."""
        if not self._is_in_file or time.monotonic() < self._next_monotonic_s:
            return
        self._next_monotonic_s = time.monotonic() + _EVERY_S
        password = self._password()
        if password != self._current:
            self._current = password
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
