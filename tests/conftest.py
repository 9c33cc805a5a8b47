"""What every test may rely on."""

from __future__ import annotations

import signal
import threading

# A shell starts background jobs with SIGINT ignored, and programs hand that on to theirs: a test
# that interrupts a program would then wait for something that cannot happen.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
