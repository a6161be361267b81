"""A supervisor with two small programs, for the tests: python supervised.py FOLDER. Ends when FOLDER/stop is there."""

import os
import sys
import time
from pathlib import Path

from config.supervisor import Output, Program, Supervisor

# Writes the number of its process, leaves a child in a session of its own, and ignores being asked to end.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
open(sys.argv[1] + "/stubborn", "w").write(f"{os.getpid()} {left.pid} ")
time.sleep(600)
"""
# Says a line and ends; each start leaves a mark.
FRAIL = """
import sys
open(sys.argv[1] + "/frail", "a").write("x")
print("frail was here")
sys.exit(3)
"""


def main(folder: str) -> None:
    programs = [
        Program("stubborn", [sys.executable, "-c", STUBBORN, folder]),
        Program("frail", [sys.executable, "-c", FRAIL, folder]),
    ]
    supervisor = Supervisor(programs, Output(console=sys.stdout), env=dict(os.environ), stop_seconds=0.5)
    supervisor.start()
    while not (Path(folder) / "stop").exists():
        supervisor.check()
        time.sleep(0.05)
    supervisor.stop()
    print("stopped", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
