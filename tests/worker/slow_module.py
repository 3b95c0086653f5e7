"""A module whose import does not end by itself."""

import signal

signal.pause()
