"""Every program of this directory, on the host and in every kind of machine."""


def test_same_as_linux(program, same):
    same(program)
