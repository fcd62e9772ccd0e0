"""Completion scripts and the manual page, and what makes them: `python -m fastsr.cli.shell_files`.

They follow from the command's parser; a test holds them to it. Only the files are read at run time: what makes them
needs shtab, of the extra `dev`.
"""
