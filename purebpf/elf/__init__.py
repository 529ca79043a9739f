"""Object files: what clang, Go and Rust tools build is read, what their loaders take is written, several are linked to one."""
