"""`python -m purebpf`: the command."""

from purebpf.cli.main import main

if __name__ == "__main__":
    main()
