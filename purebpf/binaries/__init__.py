"""Programs and libraries on disk, as probes need them: where they are, their symbols, types of functions, their own probes."""
