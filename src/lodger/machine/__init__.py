"""The VM: its states, its commands, its console.

core.py holds every operation once, as generators that say what they wait for; vm.py drives them by
poll(2), aio.py by asyncio. Neither contains logic of its own.
"""
