"""Runs commands for bench.ts: seconds, and the peak of memory of the process and its children."""

import os
import subprocess
import time

from serve import serve


def launch(command, folder):
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}")
    return {"seconds": time.perf_counter() - start, "bytes": usage.ru_maxrss * 1024}


serve({"launch": launch})
