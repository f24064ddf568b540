"""``lodger doctor``: each host feature, present or not, what follows, what to do."""

from __future__ import annotations

from lodger.boot.kernel import kernel_path
from lodger.cli.options import Option, alone
from lodger.errors import BootError
from lodger.host.features import Feature, features


def doctor(words: list[str]) -> int:
    """The verb: 0 when a VM can run here, 1 when something needed is missing."""
    text = "What this host offers, what follows from it, and what to do. The status is 1 when a VM cannot run here."
    values = alone((Option("--json", "flag", "for machines"),), words, "doctor", text)
    if values is None:
        return 0
    found = [*features(), _kernel()]
    if values.get("json"):
        import json

        print(json.dumps([{k: getattr(f, k) for k in Feature.__match_args__} for f in found], indent=1))
    else:
        for feature in found:
            mark = "yes" if feature.present else ("NO " if feature.needed else "no ")
            print(f"{mark}  {feature.name:<17} {feature.detail}")
            print(f"     {'':<17} {feature.follows if feature.present or not feature.needed else 'a VM cannot run'}")
            if feature.advice and not feature.present:
                print(f"     {'':<17} -> {feature.advice}")
        missing = [f.name for f in found if f.needed and not f.present]
        print(f"\nA VM cannot run here: {', '.join(missing)}" if missing else "\nA VM can run here.")
    return int(any(f.needed and not f.present for f in found))


def _kernel() -> Feature:
    try:
        return Feature("guest-kernel", True, True, kernel_path(), "there is something to boot", "")
    except BootError as error:
        return Feature("guest-kernel", False, True, str(error), "", "install a wheel, or run ./dev build")
