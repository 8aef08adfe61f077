"""Runs peers for the benchmark: requests come as lines of JSON on standard input, each is answered by one line.

``start``    builds a work, keeps it under ``name``, runs it once, and answers its digest
``time``     runs the work ``name`` ``discarded`` times, then ``repetitions`` times, and answers the seconds of those
``release``  forgets all works
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
    """Holds works by their names."""

    def __init__(self) -> None:
        self._works: dict[str, Work] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "start":
                work = self._works[request["name"]] = build(request, request["shape"])
                return {"digest": work.digest()}
            case "time":
                work = self._works[request["name"]]
                return {"seconds": seconds_of(work, request["discarded"], request["repetitions"])}
            case "release":
                self._works.clear()
                gc.collect()
                return {}
            case "memory":
                return {"bytes": peak_growth(request)}
            case "threads":
                return {"threads": torch.get_num_threads(), "version": torch.__version__}
            case other:
                raise ValueError(f"there is no request '{other}'")


def seconds_of(work: Work, discarded: int, repetitions: int) -> list[float]:
    """How long each run takes, those discarded left out."""
    seconds = []
    for repetition in range(-discarded, repetitions):
        begin = time.perf_counter()
        work.run()
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
