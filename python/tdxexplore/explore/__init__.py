"""One question to the engine: asking it, what it answers, traces, causes, differences."""
