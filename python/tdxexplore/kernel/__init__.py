"""A stock Linux in QEMU: what it does is recorded, and held against the models.

The rest of the package never needs this wing. There is no TDX hardware behind it, and no SEAMCALL: QEMU's TCG emulates SVM, so
that ``kvm_amd`` loads, registers its cpuhp state, and switches virtualization on and off on every CPU.
"""

NO_TDX = "no TDX hardware and no SEAMCALL here: a stock kernel with kvm_amd, in QEMU's emulation (TCG)"
