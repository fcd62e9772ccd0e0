"""The targets; each module makes cases from seeds of its own and hands them to fastsr."""
