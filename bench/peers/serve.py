"""Runs peers for the benchmark: requests come as lines of JSON on standard input, each is answered by one line.

``start``    builds a work, runs it once, and answers its digest and how long that took
``time``     runs the current work ``discarded`` times, then ``repetitions`` times, and answers the seconds of those
``memory``   by how many bytes resident memory grows at most while a work runs once; for a fresh process
``threads``  the threads that the library uses by itself
"""

from __future__ import annotations

import ctypes
import gc
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import torch
from works import Work, build


class Server:
    """Holds one work at a time."""

    def __init__(self) -> None:
        self._work: Work | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "start":
                self._work = None
                gc.collect()
                self._work = build(request, request["shape"])
                digest = self._work.digest()
                return {"digest": digest, "seconds": self._time(0, 1)[0]}
            case "time":
                return {"seconds": self._time(request["discarded"], request["repetitions"])}
            case "memory":
                return {"bytes": peak_growth(request)}
            case "threads":
                return {"threads": torch.get_num_threads(), "version": torch.__version__}
            case other:
                raise ValueError(f"there is no request '{other}'")

    def _time(self, discarded: int, repetitions: int) -> list[float]:
        assert self._work is not None
        seconds = []
        for repetition in range(-discarded, repetitions):
            begin = time.perf_counter()
            self._work.run()
            if repetition >= 0:
                seconds.append(time.perf_counter() - begin)
        return seconds


def peak_growth(request: dict[str, Any]) -> int:
    """The largest resident memory while the work runs once, over that before.

    The same work on a small map runs first, so that libraries have loaded what they load once, and freed memory goes back
    to the system, so that what the work takes is seen.
    """
    build(request, request["small"]).run()
    work = build(request, request["shape"])
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    work.run()
    return resident("VmHWM") - before


def resident(field: str) -> int:
    """A line of the process's status, in bytes."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found.group(1)) * 1024


def main() -> None:
    server = Server()
    for line in sys.stdin:
        try:
            answer = server.answer(json.loads(line))
        except Exception as error:  # the other side reports it, with the request that led to it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
