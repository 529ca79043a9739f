/* Strings and constant tables that the compiler puts where it likes. */
#include "defs.h"

static const char format[] = "%s is %d";
struct { NUMBER(type, ARRAY); NUMBER(max_entries, 1); TYPE(key, u32); TYPE(value, char[32]); } lines SEC(".maps");

SEC("raw_tp/sched_switch") int strings(void *ctx)
{
    u32 key = 0;
    char *line = map_lookup_elem(&lines, &key);
    u64 words[2] = {(u64) "word", 4};
    if (!line)
        return 0;
    snprintf(line, 32, format, words, sizeof(words));
    trace_printk("hello %d", sizeof("hello %d"), key);
    return 0;
}

LICENSE;
