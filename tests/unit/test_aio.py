"""lodger.aio: loops, cancelling, and what is left behind. On the fake guest kernel."""

import asyncio
import gc
import os
import pickle

import pytest

import lodger
import lodger.aio

PIPE = lodger.PIPE


@pytest.fixture
def run(fake):
    """Run a coroutine function with a VM; its hanging is a failure."""

    def call(main):
        async def whole():
            async with lodger.aio.VM(guard="none") as vm:
                return await main(vm)

        return asyncio.run(asyncio.wait_for(whole(), 30))

    return call


def test_a_cancelled_command_is_ended_whenever_it_is_cancelled(run):
    async def main(vm):
        for turn in range(30):
            task = asyncio.create_task(vm.run(["sleep", "99"]) if turn % 2 else vm.popen(["sleep", "99"]))
            await asyncio.sleep(turn * 0.0001)
            if task.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await task
            elif not turn % 2:
                await task.result().kill()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(vm.run(["sleep", "99"]), 0.1)
        while vm._live.channel._exits:
            await vm.run(["true"])

    run(main)


def test_communicate_goes_on_after_a_timeout_or_a_cancel(run):
    async def main(vm):
        process = await vm.popen(["sh", "-c", "echo one; sleep 0.7; cat; echo two"], stdin=PIPE, stdout=PIPE)
        with pytest.raises(TimeoutError):
            await process.communicate(b"in\n", timeout=0.1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.communicate(), 0.1)
        assert await process.communicate() == (b"one\nin\ntwo\n", b"")
        for wrong in (-1, "TERM", 65):
            with pytest.raises(lodger.ConfigError, match="signal="):
                await process.send_signal(wrong)
        with pytest.raises(lodger.ConfigError, match="size"):
            await process.resize(-1, 80)

    run(main)


def test_no_descriptors_are_left(run):
    async def main(vm):
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(4):
            process = await vm.popen(["true"], stdin=PIPE, stdout=PIPE, stderr=PIPE)
            with pytest.raises(TypeError, match="neither be copied nor pickled"):
                pickle.dumps(process)
            del process
        with pytest.warns(ResourceWarning):
            gc.collect()
            await vm.popen(["true"], stdout=PIPE)
            gc.collect()
        assert len(os.listdir("/proc/self/fd")) == before

    run(main)


def test_another_loop_is_told_so(fake):
    vm = lodger.aio.VM(guard="none")

    async def first():
        await vm.start()
        return await vm.popen(["cat"], stdin=PIPE)

    process = asyncio.run(first())
    for attempt in (lambda: vm.run(["true"]), vm.stats, process.wait, process.kill, process.communicate):
        with pytest.raises(RuntimeError, match="another event loop"):
            asyncio.run(asyncio.wait_for(attempt(), 5))
    pid = vm._live.channel.connection.child.pid
    asyncio.run(vm.close())  # its own loop is over: closing is safe
    assert not os.path.exists(f"/proc/{pid}")


def test_a_vm_starts_once(run):
    async def main(vm):
        pid = vm._live.channel.connection.child.pid
        with pytest.raises(RuntimeError, match="started already"):
            await vm.start()
        assert vm._live.channel.connection.child.pid == pid
        assert (await vm.run(["true"])).returncode == 0

    run(main)
