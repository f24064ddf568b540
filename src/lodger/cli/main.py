"""``lodger VERB``: finds the verb and turns errors into one line and an exit status."""

from __future__ import annotations

import errno
import gc
import io
import os
import sys

from lodger.cli.say import say
from lodger.errors import LodgerError, SpawnError
from lodger.host import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

OWN_ERROR, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127

USAGE = """\
usage: lodger VERB ...

  run [OPTIONS] [--] CMD [ARG...]   run a command in a virtual machine   (lodger run --help)
  profile [OPTIONS] [--] CMD ...    run a command and say where its overhead comes from
  ladder [OPTIONS] [--] CMD ...     the same command on the host and on each machine from classic to default
  trace [OPTIONS] [--] CMD ...      the guest's system calls; --host: every host operation of the machine
  doctor [--json]                   what this host offers, what follows, what to do
  syscalls [--json]                 every Linux system call and how far it is supported
  version                           versions of Lodger and its guest kernel
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; its exit status."""
    _fill_standard_descriptors()
    words = list(sys.argv[1:] if argv is None else argv)
    before = _end_in_order()
    try:
        status = _dispatch(words)
        sys.stdout.flush()
        return status
    except _EndedError as ended:
        return 128 + ended.number
    except SpawnError as error:
        say(str(error))
        return _spawn_status(error)
    except LodgerError as error:
        say(str(error))
        return OWN_ERROR
    except BrokenPipeError:
        # The reader of our output went away (lodger syscalls | head): not worth a word, as seq(1) says none.
        _drop_output()
        return 128 + signals.SIGPIPE
    except OSError as error:
        _drop_output()
        say(f"{error.filename}: {error.strerror}" if error.filename else f"cannot go on: {error.strerror or error}")
        return OWN_ERROR
    except KeyboardInterrupt:
        return 130
    finally:
        for number, handler in before.items():
            signals.signal(number, handler)


def script() -> NoReturn:
    """The program: main(), without what takes time and serves nobody in a process that does one thing.

    Cycles are collected once the command runs, and the interpreter is not taken apart at the end: what has to be given
    back on the host is by then, and nothing of ours is registered with atexit.
    """
    gc.disable()
    status = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            pass  # main() has said what there was to say of standard output
    os._exit(status)


class _EndedError(BaseException):
    """A signal that ends us. Not an Exception: nobody but main() is to catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _end_in_order() -> dict[int, Any]:
    """SIGTERM and SIGHUP end a program at once: what it has started on the host, and its folders, would stay.

    ``lodger run`` hands them on while its command runs. The handlers that were there before come back.
    """

    def end(number: int, _: object) -> None:
        raise _EndedError(number)

    before: dict[int, Any] = {}
    for number in (signals.SIGTERM, signals.SIGHUP):
        if signals.getsignal(number) == signals.SIG_DFL:
            try:
                before[number] = signals.signal(number, end)
            except ValueError:
                break  # not the main thread: signals are somebody else's business
    return before


def _dispatch(words: list[str]) -> int:
    if not words:
        print(USAGE, end="", file=sys.stderr)
        return OWN_ERROR
    if words[0] in ("-h", "--help", "help"):
        if words[0] != "help" or len(words) == 1:
            print(USAGE, end="")
            return 0
        words = [words[1], "--help"]
    if words[0] in ("-V", "--version"):
        words[0] = "version"
    verb = _verb(words[0])
    if verb is None:
        say(f"there is no verb {words[0]!r}; lodger --help lists them")
        return OWN_ERROR
    if words[0] != "run":  # which goes on to collect when its command runs
        gc.enable()
    return verb(words[1:])


def _spawn_status(error: SpawnError) -> int:
    if not error.of_program or error.errno in (errno.EAGAIN, errno.ENOMEM, errno.E2BIG, errno.EMFILE, errno.ENFILE):
        return OWN_ERROR
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NOT_FOUND
    return NOT_EXECUTABLE


def _drop_output() -> None:
    # What is left in the buffer would fail again when the interpreter ends, with words and a status of its own.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _fill_standard_descriptors() -> None:
    # A caller may have closed some (`<&-`): the next pipe of ours would take the number, and be the command's stdin.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    # A name that is no UTF-8 can be in what we say.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    # Python has made no files of them then.
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def _verb(name: str) -> Callable[[list[str]], int] | None:
    # Imports are here because each verb costs only its own start-up time.
    if name == "run":
        from lodger.cli.run import run

        return run
    if name == "doctor":
        from lodger.cli.doctor import doctor

        return doctor
    if name == "profile":
        from lodger.cli.profile import profile

        return profile
    if name == "ladder":
        from lodger.cli.ladder import ladder

        return ladder
    if name == "trace":
        from lodger.cli.trace import trace

        return trace
    if name == "syscalls":
        from lodger.cli.syscalls import syscalls

        return syscalls
    if name == "version":
        from lodger.cli.version import version

        return version
    return None
