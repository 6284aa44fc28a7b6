"""An interrupt is moved on a CPU whose hypercall page is not there.

On Hyper-V, moving a device's interrupt is a hypercall with the page of the CPU that makes it. The page is set up in a
callback of CPUHP_AP_ONLINE_DYN, after CPUHP_AP_IRQ_AFFINITY_ONLINE has moved interrupts to the CPU that comes, and
freed before interrupts are moved away from a CPU that goes.

Source: 9636be85cc5b ("x86/hyperv: Fix hyperv_pcpu_input_arg handling when CPUs go online/offline"), 2023.
Fix: A state of its own, CPUHP_AP_HYPERV_ONLINE, before that of interrupts; and the page is kept while its CPU is
    offline.
Shows: null-page
Reading: fixup_irqs() of a CPU that goes stands where the teardown of the interrupts' state would be; it has none.
"""

from tdxexplore.linux import OK, Hook, Kernel, Linux, hotplug, kernel_model
from tdxexplore.model import Model, Scope

SOURCE = "commit 9636be85cc5b; include/linux/cpuhotplug.h, v6.12"


def hyperv_page(fixed: bool = False) -> Model:
    """CPUs come and go, and their interrupts with them."""

    def record(w: Linux) -> None:
        m = w.model
        always_there = m.flag("callbacks installed", initial=True)
        page, null = m.flag("hyperv_pcpu_input_arg", Scope.CPU), m.flag("hypercall without a page")

        def online_cpus_have_one(state):
            for cpu in state.cpus:
                cpu[page.name] = cpu[w.online.name]

        m.starts(online_cpus_have_one, page)

        def callback(name, body):
            def recorded(k):
                with k.function(name, SOURCE, returns=(OK,)) as f:
                    body(k)
                    f.returns(OK)
                return f.result

            return recorded

        def moves(k):
            k.note("HVCALL_RETARGET_INTERRUPT")
            with k.if_(~page):
                k.set(null, True)

        def frees(k):
            if fixed:
                k.note("the page stays")
            else:
                k.set(page, False)

        interrupts = Hook(
            "CPUHP_AP_IRQ_AFFINITY_ONLINE",
            always_there,
            callback("irq_affinity_online_cpu()", moves),
            callback("fixup_irqs()", moves),
        )
        hyperv = Hook(
            "CPUHP_AP_HYPERV_ONLINE" if fixed else "CPUHP_AP_ONLINE_DYN",
            always_there,
            callback("hv_common_cpu_init()", lambda k: k.set(page, True)),
            callback("hv_common_cpu_die()", frees),
        )
        hooks = (hyperv, interrupts) if fixed else (interrupts, hyperv)
        m.add(hotplug(Kernel(w, "hotplug", Scope.CPU), hooks, w.booted, w.booted))
        m.outcome("null-page", "S0", null, "a hypercall gets a NULL page", fatal=True)
        m.outcome("stuck", "S1", m.stuck())
        m.outcome("moved", "ok", True)

    return kernel_model("Hyper-V's hypercall page", record, budgets={"cpu_up": 1, "cpu_down": 1}, offline=1)
