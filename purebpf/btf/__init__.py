"""BTF, the kernel's type information: types as plain data, a lazy reader and a writer of the raw bytes, C text, values."""
