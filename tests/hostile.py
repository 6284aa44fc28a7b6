"""Texts and sweep files that are meant to break something."""

from __future__ import annotations

EVIL = {
    "markup": "[/x][bold]a[/bold]",
    "newline": "a\nb",
    "escape": "a\x1b[31mb",
    "control": "a\x07\x08b",
    "bidi": "a\u202eb",
    "up": "../../a",
    "slash": "a/b",
    "surrogate": "a\ud800",
    "long": "a" * 10_000,
    "space": "a b",
    "equals": "a=b",
    "hive": "__HIVE_DEFAULT_PARTITION__",
    "html": "<script>alert(1)</script>",
    "shell": "$(touch evil); `touch evil`",
    "empty": "",
    "dot": "..",
    "nul": "a\0b",
    "number": 7,
    "none": None,
}

GRID = '[grid]\npolicy = "v19"\nmodule = "subset"\nscenario = "late-online"\n'
SPECS = {
    "nesting": (f"a = {'[' * 100_000}{']' * 100_000}\n", "not TOML that can be read"),
    "nul": ('name = "a\0b"\n[grid]\ncpus = 2\n', "not TOML"),
    "digits": (f"[grid]\ncpus = {'9' * 5000}\n", "not TOML that can be read"),
    "range": (f'{GRID}cpus = "2-99999999999"\n', "`2-99999999999`; allowed are 1 to 2048"),
    "budget": (f'{GRID}cpus = 2\nbudget = {{ cpu_up = "1-99999999999" }}\n', "`1-99999999999`; allowed are 0 to 8"),
    "depth": (f"{GRID}cpus = 2\n[check]\nmax_depth = 1{'0' * 40}\n", "at most 4294967295 is allowed"),
    "nan": (f"{GRID}cpus = nan\n", "`grid.cpus` is nan"),
    "infinity": (f"{GRID}cpus = 2\n[check]\ntimeout = inf\n", "`check.timeout` is inf"),
    "date": (f"{GRID}cpus = 2020-01-01\n", "`grid.cpus` is datetime.date(2020, 1, 1)"),
    "size": (f"#{'a' * 10_000_000}\n{GRID}cpus = 2\n", "has more than 1,048,576 bytes"),
    "name": (f'name = "a\\u001b[31m"\n{GRID}cpus = 2\n', "printable"),
    "note": (f'note = "{"a" * 3000}"\n{GRID}cpus = 2\n', "at most 2,000 printable"),
    "policy": (GRID.replace("v19", "\\u001b[31m.py:A") + "cpus = 2\n", "printable characters is needed"),
    "policy with nul": (GRID.replace("v19", "a\\u0000.py:A") + "cpus = 2\n", "printable characters is needed"),
    "key": (f'{GRID}cpus = 2\n"a\\u001b" = 2\n', "`grid.a\\x1b` is not a key"),
}
