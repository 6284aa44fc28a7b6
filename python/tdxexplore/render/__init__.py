"""Results as people read them, one file for each kind of result. They only print: what they print was computed before."""
