"""A small stand-in for ``dataclasses.dataclass(frozen=True)``.

Why: importing ``dataclasses`` costs as much as starting Python does (it pulls in ``inspect``), and
``lodger run -- /bin/true`` may take 2.5 times ``python3 -c pass`` in total. Type checkers see the
real one; at run time this gives the same for plain fields with plain defaults.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass as record
    from dataclasses import replace

    __all__ = ["record", "replace"]
else:

    def record(*, frozen=True):
        """Give a class a constructor, equality, a repr, and refuse assignment."""
        assert frozen

        def wrap(cls):
            fields = tuple(cls.__dict__.get("__annotations__", None) or _annotations(cls))
            defaults = {f: cls.__dict__[f] for f in fields if f in cls.__dict__}
            cls.__record_fields__ = fields
            cls.__match_args__ = fields

            def __init__(self, *args, **kwargs):
                if len(args) > len(fields):
                    raise TypeError(f"{cls.__name__}() takes {len(fields)} values, got {len(args)}")
                values = {**defaults, **dict(zip(fields, args, strict=False)), **kwargs}
                if len(values) != len(fields) or values.keys() - set(fields):
                    wrong = sorted(set(fields) ^ values.keys())
                    raise TypeError(f"{cls.__name__}(): missing or unknown: {', '.join(wrong)}")
                self.__dict__.update(values)

            def refuse(self, name, value=None):
                raise AttributeError(f"{cls.__name__} is frozen: cannot set {name}")

            cls.__init__ = __init__
            cls.__setattr__ = cls.__delattr__ = refuse
            cls.__eq__ = lambda self, other: (
                _values(self) == _values(other) if other.__class__ is self.__class__ else NotImplemented
            )
            cls.__hash__ = lambda self: hash(_values(self))
            cls.__repr__ = lambda self: f"{cls.__name__}({', '.join(f'{f}={self.__dict__[f]!r}' for f in fields)})"
            return cls

        return wrap

    def _values(obj):
        return tuple(obj.__dict__[f] for f in obj.__record_fields__)

    def _annotations(cls):
        # Python >= 3.14 keeps annotations behind a function; their names are all we need.
        import annotationlib

        return annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF)

    def replace(obj, /, **changes):
        """A copy of a record with some fields changed."""
        return obj.__class__(**{**{f: obj.__dict__[f] for f in obj.__record_fields__}, **changes})
