"""The `purebpf` command."""
