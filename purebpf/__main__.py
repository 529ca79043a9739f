"""`python -m purebpf`: the command."""

from purebpf.cli.main import main

main()
