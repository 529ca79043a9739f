/* Memory that programs share with processes, and variables in it. */
#include "defs.h"

#define SHARED __attribute__((address_space(1)))
struct { NUMBER(type, ARENA); NUMBER(map_flags, MMAPABLE); NUMBER(max_entries, 10); NUMBER(map_extra, 0x100000000000); } arena
    SEC(".maps");
struct node { struct node SHARED *next; u64 value; };
struct node SHARED global_node SEC(".addr_space.1");
u64 SHARED global_sum SEC(".addr_space.1");

SEC("syscall") int use(void *ctx)
{
    asm volatile("r1 = %[arena] ll" : : [arena] "i"(&arena) : "r1");
    global_node.value = 3;
    global_sum += global_node.value;
    return 0;
}

LICENSE;
