/* Global variables: all data sections, named ones too, static and hidden, arrays and structs, what is read past the start. */
#include "defs.h"

struct settings { u32 limit; u16 ports[5]; bool enabled; char name[9]; };
enum mode { OFF, ON, AUTO = 70000 };

u64 counted;
static u64 counted_here;
u32 numbers[10];
struct settings settings = {3, {80, 443}, 1, "abc"};
static struct settings others[2] = {[1] = {.limit = 9}};
const volatile struct settings fixed = {7, {1, 2, 3, 4, 5}, 0, "fixed"};
const volatile enum mode mode = AUTO;
const u8 table[16] = {1, 2, 3, 5, 8, 13, 21, 34};
HIDDEN int hidden = 5;
u32 grouped SEC(".data.group") = 77;
u64 grouped_too SEC(".data.group") = 78;
const volatile u32 read_only_group SEC(".rodata.group") = 79;
u64 zero_group SEC(".bss.group");
s64 aligned __attribute__((aligned(64))) = -4;

SEC("xdp") int variables(struct xdp_md *ctx)
{
    u32 at = ctx->rx_queue_index & 7;
    counted += fixed.limit;
    __sync_fetch_and_add(&counted_here, table[at]);
    numbers[at] += settings.ports[at & 3] + others[at & 1].limit;
    others[1].name[at] = 'x';
    hidden ^= mode;
    grouped += read_only_group;
    grouped_too -= aligned;
    zero_group++;
    return fixed.enabled ? numbers[9] : XDP_PASS;
}

LICENSE;
