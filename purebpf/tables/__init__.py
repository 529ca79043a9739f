"""Generated kernel facts: one module a subject, each written by `purebpf.tables.generate`. Nothing is imported here."""
