"""No policy file repeats a mechanism; no mechanism names a policy; what knows the kernel knows no TDX."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import tdxexplore
from tdxexplore.tdx.policies import BUILT_IN

PACKAGE = Path(tdxexplore.__file__).parent
POLICIES = sorted((PACKAGE / "tdx" / "policies").glob("[!_]*.py"))
LINUX = sorted((PACKAGE / "linux").glob("*.py"))
MECHANISMS = [path for part in ("tdx", "linux", "model") for path in sorted((PACKAGE / part).rglob("[!_]*.py"))]
MECHANISMS = [path for path in MECHANISMS if path not in POLICIES]

# What policies say themselves: what the kernel believes, and what became of KVM. Hardware, locks, hotplug and budgets
# change in shared mechanics only.
SOFTWARE = {
    "enable_tdx",
    "kvm_loaded",
    "sysinit_ret",
    "tdx_lp_initialized",
    "tdx_status",
    "tds_lost",
    "update_failed",
    "virt_rebooting",
}
SMALLEST = 3


def functions(path: Path) -> list[tuple[str, list[ast.stmt]]]:
    """The functions of a file, without their docstrings."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            described = ast.get_docstring(node) is not None
            found.append((f"{path.stem}.{node.name}", node.body[described:]))
    return found


def test_there_is_a_file_for_each_policy() -> None:
    assert len(POLICIES) == len(BUILT_IN) == 13
    assert {path.stem for path in POLICIES} == {policy.__module__.rpartition(".")[2] for policy in BUILT_IN.values()}


def test_no_function_is_written_twice() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    looked_at = 0
    for path in (*POLICIES, *MECHANISMS):
        for name, body in functions(path):
            statements = [node for s in body for node in ast.walk(s) if isinstance(node, ast.stmt)]
            if len(statements) >= SMALLEST:
                places["\n".join(map(ast.dump, body))].append(name)
                looked_at += 1
    assert looked_at > 180
    assert [names for names in places.values() if len(names) > 1] == []


def test_a_policy_changes_only_what_the_kernel_believes_and_waits_for_nothing_itself() -> None:
    written: set[str] = set()
    for path in POLICIES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            assert node.func.attr not in ("await_", "add", "holding", "either"), (path.stem, ast.unparse(node))
            targets: list[ast.expr] = []
            if node.func.attr == "set":
                targets = [node.args[0]]
            elif node.func.attr == "set_each":
                values = next(k.value for k in node.keywords if k.arg == "values")
                assert isinstance(values, ast.Dict)
                targets = [key for key in values.keys if key is not None]
            # `w.field` and `k.w.field` are shared; `self.field`, a parameter and a result are the policy's own.
            names = {ast.unparse(target) for target in targets}
            written |= {match[1] for name in names if (match := re.fullmatch(r"(?:k\.)?w\.(\w+)", name))}
    assert written == SOFTWARE


def test_no_mechanism_names_a_policy() -> None:
    names = {*BUILT_IN, *(policy.__name__ for policy in BUILT_IN.values()), *(path.stem for path in POLICIES)}
    assert len(names) == 3 * len(BUILT_IN) - sum(path.stem in BUILT_IN for path in POLICIES)
    word = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, sorted(names)))})(?![\w-])")
    looked_at = 0
    for path in MECHANISMS:
        assert word.findall(path.read_text()) == [], path
        looked_at += 1
    assert looked_at >= 30


# What belongs to TDX, to VMX or to KVM: names of the kernel and the module, and words of this project for them.
NOT_OF_LINUX = frozenset(
    [
        "td",
        "tds",
        "tdx",
        "tdh",
        "seam",
        "seamcall",
        "seamldr",
        "vmx",
        "vmxon",
        "vmxoff",
        "lp",
        "lps",
        "hkid",
        "kvm",
        "vm",
        "vms",
        "vcpu",
        "vcpus",
        "module",
    ]
)


def test_linux_names_nothing_of_tdx() -> None:
    looked_at = 0
    for path in LINUX:
        words = re.findall(r"[a-z]+", path.read_text().lower())
        assert NOT_OF_LINUX.isdisjoint(words), (path.name, NOT_OF_LINUX & set(words))
        looked_at += len(words)
    assert len(LINUX) >= 9
    assert looked_at > 2_000


def test_a_policy_does_not_reach_for_the_inside_of_a_mechanism() -> None:
    looked_at = 0
    for path in (*POLICIES, *MECHANISMS):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "k":
                assert not node.attr.startswith("_"), (path, node.lineno, node.attr)
                looked_at += 1
    assert looked_at > 400
