"""The role that a round's processes log in as, and the changes that operators make to it."""

import secrets
import uuid
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tracker.store import grants


class Login:
    """A role with only the rights that ``tracker run`` needs, and the file that holds its URL.

    `admin_url` is the database's URL for a superuser. `url` is the one that the processes use, for any user.
    """

    def __init__(self, admin_url: str, url: str, file: Path) -> None:
        self.role = f"runner_{uuid.uuid4().hex[:10]}"
        self.file = file
        self._admin_url, self._url = admin_url, url
        self._password = secrets.token_hex(8)
        self._execute("CREATE ROLE {role} LOGIN PASSWORD {password}")
        grants.grant(admin_url, [(self.role, grants.RUN)])
        self.write_file()

    def variables(self) -> dict[str, str]:
        """Return the settings with which a process logs in."""
        return {"TRACKER_DATABASE_URL": "", "TRACKER_DATABASE_URL_FILE": str(self.file)}

    def change_password(self) -> None:
        """Change the role's password, in PostgreSQL only, and end its sessions."""
        password = secrets.token_hex(8)
        self._execute("ALTER ROLE {role} PASSWORD {password}", password)
        self._password = password
        self.end_sessions()

    def write_file(self) -> None:
        """Write the URL with the role's password to the file, atomically."""
        new = self.file.with_suffix(".new")
        new.write_text(make_conninfo(self._url, user=self.role, password=self._password))
        new.replace(self.file)

    def may_only_read(self) -> None:
        """Make the role's new sessions read-only, and end the existing ones."""
        self._execute("ALTER ROLE {role} SET default_transaction_read_only = on")
        self.end_sessions()

    def may_write(self) -> None:
        """Let the role's new sessions write. The existing ones stay as they are."""
        self._execute("ALTER ROLE {role} RESET default_transaction_read_only")

    def end_sessions(self) -> None:
        """End the role's sessions."""
        with self._connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [self.role]
            )

    def restore(self) -> None:
        """Undo all changes; the password stays the last one."""
        self.may_write()
        self._execute("ALTER ROLE {role} PASSWORD {password}")
        self.write_file()

    def _execute(self, statement: str, password: str = "") -> None:
        names = {"role": sql.Identifier(self.role), "password": sql.Literal(password or self._password)}
        with self._connect() as connection:
            connection.execute(sql.SQL(statement).format(**names))

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        # Another fault may have made everything read-only.
        options = "-c default_transaction_read_only=off"
        return psycopg.connect(self._admin_url, autocommit=True, options=options, connect_timeout=5)
