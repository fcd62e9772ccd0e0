"""Fuzzing: hostile files and calls, made by seeds, must end in a result or in a documented error.

`targets` says what is attacked and with what, `worker` runs the cases of one target in a process of limited memory,
`supervisor` starts workers and finds out what became of them; `python -m fuzz` is the command, `make fuzz` calls it.
`corpus` keeps a case of every fault that was found.
"""
