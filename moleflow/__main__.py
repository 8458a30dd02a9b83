"""`python -m moleflow results` prints the results of the checked-out commit."""

from moleflow.cli.main import main

main()
