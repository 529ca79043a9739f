/* Values of many types: in variables, in maps, in what rings send. */
#include "../../elf/c/defs.h"

typedef u16 __be16;
typedef u32 __be32;
struct limits { u32 low, high; __be16 ports[2]; };
struct flow { __be32 address; __be16 port; u16 zone; };
struct event { u32 size; __be16 port; char what[6]; };

struct limits limits = { 1, 2, { 0, 0 } };
const volatile __be32 first;
__be16 port;

HASH_OF(__be16, __be32, 16) by_port SEC(".maps");
HASH_OF(struct flow, struct limits, 16) flows SEC(".maps");
struct { NUMBER(type, RINGBUF); NUMBER(max_entries, 4096); } plain SEC(".maps");
struct { NUMBER(type, RINGBUF); NUMBER(max_entries, 4096); } tagged TAG("record:event") SEC(".maps");
struct { NUMBER(type, RINGBUF); NUMBER(max_entries, 4096); TYPE(value, struct event[0]); } valued SEC(".maps");
struct { NUMBER(type, RINGBUF); NUMBER(max_entries, 4096); TYPE(value, struct event); } sized SEC(".maps");
struct { NUMBER(type, PERF_EVENT_ARRAY); TYPE(key, int); TYPE(value, int); } perf TAG("record:event") SEC(".maps");
struct { NUMBER(type, PERF_EVENT_ARRAY); TYPE(key, int); TYPE(value, int); } plain_perf SEC(".maps");

static long (*perf_event_output)(void *ctx, void *map, u64 flags, void *data, u64 size) = (void *)25;

SEC("xdp") int measure(struct xdp_md *ctx)
{
    struct event event = { ctx->data_end - ctx->data, port, "hello" };
    struct flow flow = { first, port, 7 };
    struct limits copy = limits;
    __be32 address = first;

    map_update_elem(&by_port, &event.port, &address, 0);
    map_update_elem(&flows, &flow, &copy, 0);
    ringbuf_output(&plain, &event, sizeof(event), 0);
    ringbuf_output(&tagged, &event, sizeof(event), 0);
    ringbuf_output(&valued, &event, sizeof(event), 0);
    ringbuf_output(&sized, &event, sizeof(event), 0);
    perf_event_output(ctx, &perf, 0xffffffff, &event, sizeof(event));
    perf_event_output(ctx, &plain_perf, 0xffffffff, &event, sizeof(event));
    return event.size > limits.high ? XDP_DROP : XDP_PASS;
}

LICENSE;
