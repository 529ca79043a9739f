"""Writes importable packages with programs inside (`purebpf gen`), and the Go file for an object (`purebpf gen --go`)."""
