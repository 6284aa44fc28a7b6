"""A notebook that goes from the question of a mail to an answer: ``marimo edit examples/seed_mail.py``, or ``marimo run``."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="From a mail to an answer")

with app.setup:
    import marimo as mo
    import polars as pl
    import polars.selectors as cs

    import tdxexplore


@app.function
def shown(frame: pl.DataFrame) -> mo.ui.table:
    """A table with fractions rounded and texts in full."""
    texts = ["text"] if "text" in frame.columns else None
    return mo.ui.table(frame.with_columns(cs.float().round(4)), selection=None, wrapped_columns=texts)


@app.cell(hide_code=True)
def _():
    mo.md("""
    # From a mail to an answer

    In patch 23 of *KVM TDX v19* KVM turns VMX on and calls `tdx_cpu_enable()` (TDH.SYS.LP.INIT) on every online CPU when it is
    loaded. What of a CPU that comes online later? Kai Huang wrote on 26 April 2024:

    > It _can_ work if we only consider KVM, because for KVM we can always guarantee:
    >
    > 1. VMXON + tdx_cpu_enable() have been done for all online cpus before it calls tdx_enable().
    > 2. VMXON + tdx_cpu_enable() have been done in cpuhp for any new CPU before it goes online.

    Does v19 keep these rules? Does nothing bad happen if a KVM keeps them? And what if KVM is not the only user of TDX?
    """)
    return


@app.cell
def _():
    designs = {
        "v19": "the patch as posted",
        "kvm-hook-lp-init": "a KVM that keeps both rules",
        "hook-before-users": "a callback of core before those of all users",
    }
    questions = {
        "late-online": "a CPU comes online after KVM was loaded",
        "kvm-reload": "KVM is unloaded and loaded again",
        "no-kvm": "KVM is unloaded for good",
        "second-tdx-user": "another user makes calls while KVM comes and goes",
    }
    cpus = mo.ui.slider(2, 4, value=2, label="CPUs", show_value=True)
    module = mo.ui.dropdown(["subset", "strict"], value="subset", label="module kind")
    mo.hstack([cpus, module], justify="start")
    return cpus, designs, module, questions


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Every design, every question

    A cell is the worst way in which a run can end, of all interleavings of KVM, hotplug, a TD and the other user.
    """)
    return


@app.cell
def _(cpus, designs, module, questions):
    comparison = tdxexplore.compare(list(designs), modules=[module.value], scenarios=list(questions), cpus=[cpus.value])
    worst = comparison.matrix.select("policy", "scenario", answer=pl.format("{} {}", "severity", "outcome")).pivot(
        "scenario", index="policy", values="answer"
    )
    shown(worst)
    return comparison, worst


@app.cell
def _(comparison):
    comparison.plot()
    return


@app.cell
def _(comparison):
    meanings = comparison.outcomes.select("severity", "outcome", "text").unique().sort("severity", "outcome")
    shown(meanings)
    return (meanings,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Does v19 keep the rules?

    All the ways in which a run can end, with exact counts, and the shortest run to the worst of them. KVM's callback turns VMX on
    for the CPU that comes online, and makes no TDH.SYS.LP.INIT there.
    """)
    return


@app.cell
def _(cpus, module):
    posted = tdxexplore.check("v19", module=module.value, cpus=cpus.value, scenario="late-online")
    figures = ["outcome", "severity", "interleavings", "interleaving_share", "probability", "shortest_steps"]
    shown(posted.outcomes.select(figures))
    return (posted,)


@app.cell
def _(posted):
    mo.plain_text(posted.traces[posted.worst].to_text(width=100, ascii_only=False))
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Why?

    That late CPU fails in every run, whatever the order. Where KVM is unloaded for good, only some runs fail: `why` looks for the
    orders of steps that do, and checks on every run what it says of them.
    """)
    return


@app.cell
def _(cpus, module):
    reasons = tdxexplore.why("v19", module=module.value, cpus=cpus.value, scenario="no-kvm", timeout=10)
    reasons
    return (reasons,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## What if KVM keeps them?

    As long as KVM is the only user, TDX is up at the end of every run; without KVM a CPU may lack TDH.SYS.LP.INIT, and nobody
    runs a TD there. With a second user calls fail. The invariants say why: VMX is off where the call is made (I2), and only in
    the design in which KVM makes TDH.SYS.LP.INIT that is missing as well (I1).
    """)
    return


@app.cell
def _(comparison):
    failing = comparison.matrix.filter(pl.col("broken") != "").select(
        "policy", "scenario", "broken", "interleavings", "interleaving_share", "probability"
    )
    shown(failing)
    return (failing,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Which one, then?

    Change the number of CPUs or the module kind above: everything is computed again. A module of kind `strict` cannot be
    configured while a CPU is offline. There a late CPU leaves TDX off until reboot in each design, because the kernel remembers
    the failure. A policy of your own joins the comparison as `path/to/file.py:NAME`.
    """)
    return


if __name__ == "__main__":
    app.run()
