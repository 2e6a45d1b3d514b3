"""What this process has used so far."""

import resource


def cpu_seconds() -> float:
    """CPU seconds of this process, its threads included, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
