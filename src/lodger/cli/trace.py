"""``lodger trace``: what the guest asks of its kernel, or with --host what the machine asks of its host."""

from __future__ import annotations

from lodger.cli.job import run_to_end
from lodger.cli.options import HELP, Option, listing, parse
from lodger.cli.run import OPTIONS as RUN_OPTIONS
from lodger.cli.run import run, settings
from lodger.cli.say import say
from lodger.errors import ConfigError

OPTIONS = [
    *(o for o in RUN_OPTIONS if o.name not in ("--stats", "--trace", "--tty", "--no-tty", "--timeout", "--help")),
    Option("--host", "flag", "every host operation of the guest-machine processes instead of the guest's system calls"),
    Option("--output", "value", "write the lines there instead of standard error", "-o", meta="FILE"),
    HELP,
]
USAGE = """\
usage: lodger trace [--host] [OPTIONS] [--] CMD [ARG...]

One line for each system call, signal and end of a thread of the guest, as strace -f says them. With --host: one line
for everything that the machine's host processes ask of the host and every signal that they get, in order; the processes
are traced with ptrace for it, whatever their monitor.
"""


def trace(words: list[str]) -> int:
    """Run the verb; the command's exit status. Raises LodgerError."""
    values, argv = parse(OPTIONS, words)
    if values.get("help"):
        print(USAGE + "\n" + listing(OPTIONS))
        return 0
    if not argv:
        raise ConfigError("no command given: lodger trace [--host] [OPTIONS] [--] CMD [ARG...]")
    output = values.get("output")
    if not values.get("host"):
        extra = ["--trace"] if output is None else [f"--trace={output}"]
        skip = {"-o", "--output"}
        return run([*extra, "-T", *_without(words, skip)])
    import os

    from lodger.machine import job
    from lodger.machine.vm import VM

    try:
        fd = os.dup(2) if output is None else os.open(str(output), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    except OSError as error:
        raise ConfigError(f"--output {output} cannot be written: {error.strerror}") from None
    try:
        with VM(**settings(values), host_trace=fd) as vm:
            process = run_to_end(vm, argv)
            status = process.wait()
            if process.usage is None:
                vm.check()  # raises what ended the VM
            for line in job.said(vm).splitlines():
                say(line)
    finally:
        os.close(fd)
    return 128 - status if status < 0 else status


def _without(words: list[str], options: set[str]) -> list[str]:
    """The words but for these options and their values, up to the command."""
    kept: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--":
            return kept + words[at:]
        if word in options:
            at += 2
            continue
        if word.partition("=")[0] not in options:
            kept.append(word)
        at += 1
    return kept
