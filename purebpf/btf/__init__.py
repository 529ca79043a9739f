"""BTF, the kernel's type information: types as plain data and a lazy reader of the raw bytes."""
