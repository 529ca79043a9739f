"""Everything that makes a system call: bpf(2), perf events, maps, programs, links, readers, probes. Linux only."""
