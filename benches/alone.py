"""Runs one command and reports what it used: ``alone.py SECONDS MEMORY OUTPUT COMMAND...``.

The command gets this parent because the kernel counts the image that a process is forked from into its peak size: this
one imports little and stays under ten MiB. It prints one JSON line: status, wall seconds, peak bytes.
"""

import json
import os
import resource
import signal
import sys
import time


def main() -> None:
    limit, memory, output, *command = sys.argv[1:]
    started = time.perf_counter()
    child = os.fork()
    if child == 0:
        if int(memory):
            resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
        text = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(text, 1)
        os.dup2(text, 2)
        try:
            os.execvp(command[0], command)  # noqa: S606 -- no shell is wanted
        finally:
            os._exit(127)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, float(limit))
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - started
    code = os.waitstatus_to_exitcode(status)
    print(json.dumps({"status": code, "seconds": seconds, "peak_bytes": usage.ru_maxrss * 1024}))


if __name__ == "__main__":
    main()
