"""-u and user= by name: /etc/passwd and /etc/group of the guest decide, whatever has become of them."""

import os
import pwd
import shutil

import pytest

import lodger


def ids(result):
    assert result.returncode == 0, result
    return result.stdout.split()


def test_a_user_of_the_hosts_system(shared, cli):
    nobody = pwd.getpwnam("nobody")
    script = "id -u; id -g; id -G; echo $HOME"
    uid, gid, home = str(nobody.pw_uid), str(nobody.pw_gid), nobody.pw_dir
    assert ids(shared.run(["sh", "-c", script], user="nobody", text=True)) == [uid, gid, gid, home]
    done = cli("run", "--guard", "none", "-u", "nobody", "--", "sh", "-c", script, text=True)
    assert ids(done) == [uid, gid, gid, home], done.stderr


def test_a_user_that_the_guest_has_made(vm):
    script = "id -un; id -gn; id -Gn; echo $HOME"
    vm.sh("useradd -m -u 1234 -g users -G audio,video ann", check=True)
    assert ids(vm.sh(script, user="ann", text=True)) == ["ann", "users", "users", "audio", "video", "/home/ann"]
    # A group that is given comes alone, as in Docker.
    assert ids(vm.sh(script, user="ann:audio", text=True)) == ["ann", "audio", "audio", "/home/ann"]
    assert ids(vm.sh("id -G", user="ann:77", text=True)) == ["77"]
    assert ids(vm.sh("id -u; id -Gn; echo $HOME", user="4321:audio", text=True)) == ["4321", "audio", "/"]
    # By number: HOME is known, groups are as given.
    assert ids(vm.sh("id -G; echo $HOME", user=1234, text=True)) == ["1234", "/home/ann"]
    assert ids(vm.sh("echo $HOME", user="ann", env={"HOME": "/tmp"}, text=True)) == ["/tmp"]
    assert ids(vm.sh("cd; pwd; touch mine; stat -c %U mine", user="ann", text=True)) == ["/home/ann", "ann"]


def test_an_unknown_user_is_said(vm, cli):
    with pytest.raises(lodger.SpawnError, match=r"user 'nobdy' is not in the machine's /etc/passwd: give one"):
        vm.run(["true"], user="nobdy")
    with pytest.raises(lodger.SpawnError, match="group 'none' is not in the machine's /etc/group"):
        vm.run(["true"], user="nobody:none")
    done = cli("run", "--guard", "none", "-u", "nobdy", "--", "true", text=True)
    assert done.returncode == 125 and "nobdy" in done.stderr and len(done.stderr.splitlines()) == 1
    # What cannot be read is said, and is not waited for.
    vm.sh("rm /etc/passwd; mkfifo /etc/passwd", check=True)
    with pytest.raises(lodger.SpawnError, match=r"cannot be looked up.*give a number"):
        vm.run(["true"], user="nobody")
    assert vm.sh("echo $HOME").stdout == b"/root\n"
    # A link to nowhere; to what depends on who looks; to what has no end.
    for target in ("passwd", "/proc/self/status", "/dev/stdin", "/proc/thread-self/comm", "/dev/zero", "/etc"):
        vm.sh(f"rm /etc/passwd; ln -s {target} /etc/passwd", check=True)
        with pytest.raises(lodger.SpawnError, match="cannot be looked up"):
            vm.run(["true"], user="nobody")


def test_more_groups_than_one_can_be_in(vm):
    # The last nine are there twice.
    vm.sh("for last in 100000 9; do seq -f 'g:x:%.0f:nobody' 1 $last; done >/etc/group", check=True)
    numbers = vm.run(["id", "-G"], user="nobody", text=True).stdout.split()
    # Its own, 65534, is one of the first 65535.
    assert len(numbers) == 65535 == len(set(numbers))


def test_a_root_of_ones_own(kernel, tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    for directory in (root / "bin", root / "etc", outside):
        directory.mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or pytest.fail("busybox-static is missing"), root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0::/home/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n")
    (root / "etc/group").write_text("ann:x:1000:\nclub:x:2000:bob,ann\n")
    script = "busybox id -u; busybox id -G; echo $HOME"
    with lodger.VM(rootfs=root, user="ann") as vm:
        assert ids(vm.sh(script, text=True)) == ["1000", "1000", "2000", "/home/ann"]
        assert ids(vm.sh("echo $HOME", user=0, text=True)) == ["/home/root"]
    # A link is walked in the guest: what it leads to on the host counts for nothing.
    os.rename(root / "etc/passwd", outside / "passwd")
    for target in (outside / "passwd", "../../outside/passwd"):
        (root / "etc/passwd").symlink_to(target)
        with lodger.VM(rootfs=root) as vm:
            with pytest.raises(lodger.SpawnError, match="cannot be looked up"):
                vm.run(["sh"], user="ann")
            assert ids(vm.sh("echo $HOME", user=1000, text=True)) == ["/"]
        (root / "etc/passwd").unlink()


def test_arguments_and_environment_as_long_as_linux_takes_them(shared):
    words = ["x" * 131_071, *("y" * 1000 for _ in range(1500))]
    result = shared.sh('for w; do :; done; echo $# ${#1} ${#w}; printf %s "$V" | wc -c', env={"V": "z" * 131_000})
    assert result.stdout == b"0 0 0\n131000\n"
    result = shared.run(["sh", "-c", "echo $# ${#1}", "sh", *words])
    assert result.stdout == b"1501 131071\n"
    with pytest.raises(lodger.SpawnError, match="2 MiB is the most"):
        shared.run(["true", *words, *words])
    with pytest.raises(lodger.SpawnError, match="131072 of them in one"):
        shared.run(["true", "x" * 131_072])
