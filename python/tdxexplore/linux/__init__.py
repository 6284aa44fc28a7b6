"""Kernel mechanics that any protocol needs and that know none: locks, IPIs, CPU hotplug, boot, suspend, kexec.

A protocol is a function that records actors (`Kernel`) on the fields of a kernel (`Linux`) and hands them to `kernel_model`; one
with many fields of its own derives from `Linux`. It declares cpuhp states (`Hook`), and adds the actors of `hotplug`, `boot`,
`suspend`, `shutdown` and `kexec` that its scenarios need.
"""

from tdxexplore.linux.boot import bringup_nonboot_cpus, initcalls
from tdxexplore.linux.cpuhp import Hook, Kernel
from tdxexplore.linux.errno import EACCES, EBUSY, EFAULT, EINVAL, EIO, OK
from tdxexplore.linux.hotplug import cpu_hotplug_disable, cpu_hotplug_enable, hotplug, smt_control, smt_off
from tdxexplore.linux.kexec import kexec
from tdxexplore.linux.record import kernel_model
from tdxexplore.linux.shutdown import kexec_orderly, reboot
from tdxexplore.linux.state import UNBOUNDED, Linux
from tdxexplore.linux.suspend import suspend
from tdxexplore.linux.sync import Completion, NotifierChain, Readers, RwSemaphore, Work, kworker
from tdxexplore.linux.wait import RcuWait, WaitQueue

__all__ = [
    "EACCES",
    "EBUSY",
    "EFAULT",
    "EINVAL",
    "EIO",
    "OK",
    "UNBOUNDED",
    "Completion",
    "Hook",
    "Kernel",
    "Linux",
    "NotifierChain",
    "RcuWait",
    "Readers",
    "RwSemaphore",
    "WaitQueue",
    "Work",
    "bringup_nonboot_cpus",
    "cpu_hotplug_disable",
    "cpu_hotplug_enable",
    "hotplug",
    "initcalls",
    "kernel_model",
    "kexec",
    "kexec_orderly",
    "kworker",
    "reboot",
    "smt_control",
    "smt_off",
    "suspend",
]
