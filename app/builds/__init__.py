"""Which builds of llama.cpp are here, which one this machine should have, and how it is made.

`machine`, `kit` and `way` need the standard library alone: the set-up asks them before anything is installed.
"""
