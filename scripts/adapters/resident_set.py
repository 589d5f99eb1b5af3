"""How far the resident set of this process grew: the one figure of memory that holds for every framework. Linux only."""

import ctypes
import gc


def read_status_bytes(field):
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return None


def give_back_free_memory():
    """What was freed but is still held by malloc would hide what the next decode needs."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except AttributeError:  # no glibc
        pass


class Peak:
    """The growth from restart() to the highest point since."""

    def __init__(self):
        self.base = None

    def restart(self):
        give_back_free_memory()
        self.base = read_status_bytes("VmRSS")
        try:
            with open("/proc/self/clear_refs", "w", encoding="ascii") as clear:
                clear.write("5")  # the kernel's highest point starts again from here
        except OSError:
            self.base = None  # a peak from before would be taken for one of now

    def bytes(self):
        """None where the kernel does not tell."""
        highest = read_status_bytes("VmHWM")
        return None if self.base is None or highest is None else max(0, highest - self.base)
