"""Kernel mechanics that any protocol needs and that know none: locks, IPIs, CPU hotplug, boot, suspend, kexec.

A protocol derives its fields from `tdxexplore.linux.state.Linux` and its procedures from `tdxexplore.linux.cpuhp.Kernel`,
declares cpuhp states (`Hook`), and adds the actors of `hotplug`, `boot`, `suspend`, `shutdown` and `kexec` that its scenarios
need.
"""
