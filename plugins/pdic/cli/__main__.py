"""`python -m pdic.cli`: the same as `pdic`, for an interpreter that is not on PATH."""

from pdic.cli import main

main()
