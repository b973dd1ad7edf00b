"""`python -m pdic.cli`: the same as `pdic`, for an interpreter that is not on PATH."""

from pdic.start import main

main()
