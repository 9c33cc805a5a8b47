"""Run a program whose waits are short: with_short_waits.py PROGRAM ...

SageMaker's SDKs ask AWS how a job does every ten to thirty seconds, by their own clock, which here
would be most of a test's time. So a wait ends after a tenth of a second, and the clock that a
program reads is put forward by the rest. Nothing else of the SDKs is changed.
"""

import runpy
import sys
import time

LONGEST_S = 0.1
real_sleep, real_time = time.sleep, time.time
skipped_s = 0.0


def sleep(seconds):
    """Wait, but not for long."""
    global skipped_s
    real_sleep(min(seconds, LONGEST_S))
    skipped_s += max(0.0, seconds - LONGEST_S)


time.sleep = sleep
time.time = lambda: real_time() + skipped_s
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
