"""The measured claims: `python -m bench` (or `make bench`) prints the one table that the README quotes.

What is measured is the real daemon, a process of its own with its journal on a disk, asked by a lean client in a second
process. Beside it stands a yardstick: the least that Twisted, or the disk, can do for the same bytes. Both are measured
in turns (A B A B …) in the same run; a figure is the median of its turns, a ratio the median of the turns' ratios.
"""
