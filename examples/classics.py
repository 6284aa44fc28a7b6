"""Classic models that are not of a kernel, in the public language; where others have published counts, ours are the same.

    tdxexplore check examples/classics.py:n_peterson --cpus 5 --set n=5 --no-measures
    tdxexplore check examples/classics.py:mcs_lock --cpus 2
    tdxexplore check examples/classics.py:german --cpus 4 --no-measures
    tdxexplore check examples/classics.py:german --cpus 2 --set careful=false
    tdxexplore check examples/classics.py:ewd840 --no-measures

`tests/test_known_counts.py` holds them against the counts that Murphi's distribution and the TLA+ examples give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.model import Model, Pointer, Procedure, Scope, cpus, other_cpus

if TYPE_CHECKING:
    from tdxexplore.model import Expr, Field, State


def n_peterson(n: int = 3) -> Model:
    """Peterson's mutual exclusion of n processes, "Myths about the mutual exclusion problem", 1981; asked with n CPUs.

    Who was the last to arrive at a level is a pointer to a process.
    """
    model = Model("n_peterson")
    level = model.counter("Q", n - 1, Scope.CPU)
    last = [Pointer(model, f"turn[{j}]") for j in range(1, n)]
    critical, crowded = model.flag("critical", Scope.CPU), model.flag("crowded")
    p = Procedure("process", Scope.CPU)
    with p.loop():
        p.step("non-critical section", rest=True)
        p.set(critical, False)
        for j, turn in enumerate(last, start=1):
            p.step(f"Q[i] := {j}")
            p.set(level, j)
            p.step(f"turn[{j}] := i")
            turn.set_me(p)
            p.step(f"wait at level {j}")
            p.await_(other_cpus.all(level < j) | ~turn.me)
        p.set(critical, True)
        with p.if_(other_cpus.any(critical)):
            p.set(crowded, True)
        p.step("critical section")
        p.set(critical, False)
        p.set(level, 1)
    model.add(p)
    model.invariant("mutual-exclusion", ~crowded)
    return model


def mcs_lock() -> Model:  # noqa: PLR0915 -- a step for each line of the paper
    """The MCS queue lock without compare-and-swap (Mellor-Crummey and Scott, 1991), for two CPUs only.

    A pointer of a CPU is nil, to itself or to the other one: what a third CPU would be cannot be said.
    """
    model = Model("mcs_lock")
    where = ["nil", "me", "other"]
    following, predecessor, old_tail, usurper = (
        model.enum(name, where, Scope.CPU) for name in ("next", "predecessor", "old_tail", "usurper")
    )
    locked, last = model.flag("locked", Scope.CPU), Pointer(model, "L")
    critical, crowded = model.flag("critical", Scope.CPU), model.flag("crowded")
    p = Procedure("process", Scope.CPU)

    def swap(into: Field, new: str | None) -> None:
        """Put the queue's tail into a pointer of this CPU, and another CPU or none into its place."""
        for place, there in (("me", last.me), ("other", other_cpus.any(last.me)), ("nil", last.none)):
            with p.if_(there):
                p.set(into, place)
        last.clear(p)
        if new == "me":
            last.set_me(p)
        elif new == "other":
            p.set_each(other_cpus, True, {last.me: True})

    def unlock_next() -> None:
        with p.if_(following == "me"):
            p.set(locked, False)
        with p.if_(following == "other"):
            p.set_each(other_cpus, True, {locked: False})

    with p.loop() as again:
        p.step("I->next := nil", rest=True)
        p.set(following, "nil")
        p.step("predecessor := fetch_and_store(L, I)")
        swap(predecessor, "me")
        p.step("if predecessor != nil")
        with p.if_(predecessor != "nil"):
            p.step("I->locked := true")
            p.set(locked, True)
            p.step("predecessor->next := I")
            with p.if_(predecessor == "me"):
                p.set(following, "me")
            with p.else_():
                p.set_each(other_cpus, True, {following: "other"})
            p.step("repeat while I->locked")
            p.await_(~locked)
        p.set(critical, True)
        with p.if_(other_cpus.any(critical)):
            p.set(crowded, True)
        p.step("critical section; if I->next = nil")
        p.set(critical, False)
        with p.if_(following == "nil"):
            p.step("old_tail := fetch_and_store(L, nil)")
            swap(old_tail, None)
            p.step("if old_tail = I return")
            with p.if_(old_tail != "me"):
                p.step("usurper := fetch_and_store(L, old_tail)")
                swap(usurper, "other")  # it is not nil, as this CPU is in the queue
                p.step("repeat while I->next = nil")
                p.await_(following != "nil")
                p.step("usurper->next := I->next, or I->next->locked := false")
                for mine, theirs in (("me", "other"), ("other", "me")):
                    with p.if_((usurper == "me") & (following == mine)):
                        p.set(following, mine)
                    with p.if_((usurper == "other") & (following == mine)):
                        p.set_each(other_cpus, True, {following: theirs})
                with p.if_(usurper == "nil"):
                    unlock_next()
        with p.else_():
            p.step("I->next->locked := false")
            unlock_next()
    assert again
    model.add(p)
    model.invariant("mutual-exclusion", ~crowded)
    return model


def german(careful: bool = True) -> Model:
    """German's cache coherence without data, as Chou, Mannava and Park have it (FMCAD 2004).

    A client is a CPU; each of its three channels holds one message, which is an enum of the CPU, and so is its cache. The client
    that the directory serves is a pointer to a CPU.

    Args:
        careful: Exclusive access is granted when no other client has the line; if not, when nobody has it exclusively.
    """
    model = Model("german")
    cache = model.enum("Cache", ["I", "S", "E"], Scope.CPU)
    requests = model.enum("Chan1", ["Empty", "ReqS", "ReqE"], Scope.CPU)
    grants = model.enum("Chan2", ["Empty", "Inv", "GntS", "GntE"], Scope.CPU)
    acks = model.enum("Chan3", ["Empty", "InvAck"], Scope.CPU)
    invalidate, shares, served = (
        model.flag("InvSet", Scope.CPU),
        model.flag("ShrSet", Scope.CPU),
        Pointer(model, "CurPtr"),
    )
    command, exclusive = model.enum("CurCmd", ["Empty", "ReqS", "ReqE"]), model.flag("ExGntd")
    incoherent = model.flag("incoherent")

    def rule(name: str, when: Expr, values: dict[Field, str | bool]) -> Procedure:
        """An action of a client, or of the directory on its messages, that may happen again and again."""
        p = Procedure(name, Scope.CPU)
        with p.loop():
            p.step(name, rest=True)
            p.await_(when)
            for field, value in values.items():
                p.set(field, value)
            if name.startswith("RecvReq"):
                served.set_me(p)
                p.set_each(cpus, shares, {invalidate: True})
                p.set_each(cpus, ~shares, {invalidate: False})
            if name.startswith("RecvGnt"):
                with p.if_(other_cpus.any(cache != "I" if name == "RecvGntE" else cache == "E")):
                    p.set(incoherent, True)
        return p

    mine = served.me & (grants == "Empty") & ~exclusive
    wanted = (command == "ReqE") | ((command == "ReqS") & exclusive)
    for p in (
        rule("SendReqS", (requests == "Empty") & (cache == "I"), {requests: "ReqS"}),
        rule("SendReqE", (requests == "Empty") & (cache != "E"), {requests: "ReqE"}),
        rule("RecvReqS", (command == "Empty") & (requests == "ReqS"), {command: "ReqS", requests: "Empty"}),
        rule("RecvReqE", (command == "Empty") & (requests == "ReqE"), {command: "ReqE", requests: "Empty"}),
        rule("SendInv", (grants == "Empty") & invalidate & wanted, {grants: "Inv", invalidate: False}),
        rule("SendInvAck", (grants == "Inv") & (acks == "Empty"), {grants: "Empty", acks: "InvAck", cache: "I"}),
        rule("RecvInvAck", (acks == "InvAck") & (command != "Empty"), {acks: "Empty", shares: False, exclusive: False}),
        rule("SendGntS", (command == "ReqS") & mine, {grants: "GntS", shares: True, command: "Empty"}),
        rule(
            "SendGntE",
            (command == "ReqE") & mine & (cpus.none(shares) if careful else mine),
            {grants: "GntE", shares: True, exclusive: True, command: "Empty"},
        ),
        rule("RecvGntS", grants == "GntS", {cache: "S", grants: "Empty"}),
        rule("RecvGntE", grants == "GntE", {cache: "E", grants: "Empty"}),
    ):
        model.add(p)
    model.invariant("coherence", ~incoherent, "never does one client have the line exclusively while another has it")
    model.expect("exclusive", cpus.any(cache == "E"))
    model.outcome("stuck", "S1", True, "nobody can do anything")
    return model


def ewd840(n: int = 4) -> Model:  # noqa: PLR0915 -- a procedure for each action
    """Dijkstra's termination detection in a ring of n nodes (EWD840), as Merz has it in the TLA+ examples; asked with n CPUs.

    CPUs have no order, so each gets a number that it keeps; then none is like another, and nothing is gained by symmetry. It may
    begin with any nodes active and black and with the token anywhere: a procedure chooses that, and ``begun`` tells it from
    the algorithm.
    """
    model = Model("ewd840")
    number = model.counter("number", n - 1, Scope.CPU)
    active, black = model.flag("active", Scope.CPU), model.flag("black", Scope.CPU)
    token, stained, begun = model.counter("token", n - 1), model.flag("token black", initial=True), model.flag("begun")

    def numbered(state: State) -> None:
        for i, cpu in enumerate(state.cpus):
            cpu["number"] = i

    model.starts(numbered, number, least_cpus=n)

    p = Procedure("beginning")
    for i in range(n):
        for what in (active, black):
            p.step(f"node {i} is {what.name}, or not")
            with p.either() as choice:
                with choice.branch():
                    p.note("not")
                with choice.branch():
                    p.set_each(cpus, number == i, {what: True})
    p.step("the token is anywhere")
    p.set(begun, True)
    with p.either() as choice:
        for i in range(n):
            with choice.branch():
                p.set(token, i)
    model.add(p)

    p = Procedure("ring", Scope.CPU)
    with p.loop():
        p.step("pass the token", rest=True)
        p.await_(begun & (number == token) & (stained | black | (~active & (token > 0))))
        with p.if_(token == 0):
            p.set(stained, False)
            p.set(token, n - 1)
        with p.else_():
            with p.if_(black):
                p.set(stained, True)
            p.add(token, -1)
        p.set(black, False)
    model.add(p)

    p = Procedure("message", Scope.CPU)
    with p.loop():
        p.step("activate another node", rest=True)
        p.await_(begun & active)
        with p.either() as choice:
            for i in range(n):
                with choice.branch():
                    p.await_(number != i)
                    p.set_each(other_cpus, number == i, {active: True})
                    with p.if_(number < i):
                        p.set(black, True)
    model.add(p)

    p = Procedure("node", Scope.CPU)
    with p.loop():
        p.step("become inactive", rest=True)
        p.await_(begun & active)
        p.set(active, False)
    model.add(p)

    detected = (token == 0) & ~stained & cpus.any((number == 0) & ~black & ~active)
    model.invariant("termination-detection", ~detected | cpus.none(active), "what is detected has terminated")
    model.expect("begun", begun)
    model.outcome("detected", "ok", detected)
    model.outcome("stuck", "S1", ~detected, "the token is held up for ever")
    return model
