/* Sections that newer libraries know. */
#include "defs.h"

#define P(number, section) SEC(section) int p##number(void *ctx) { return 1; }
P(0, "kprobe.session/tcp_*")
P(1, "uprobe.multi//proc/self/exe:main")
P(2, "uretprobe.multi")
P(3, "uprobe.multi.s")
P(4, "uprobe.session")
P(5, "tc/ingress")
P(6, "tc/egress")
P(7, "tcx/ingress")
P(8, "tcx/egress")
P(9, "netkit/primary")
P(10, "netkit/peer")
P(11, "cgroup/connect_unix")
P(12, "cgroup/sendmsg_unix")
P(13, "cgroup/recvmsg_unix")
P(14, "cgroup/getpeername_unix")
P(15, "cgroup/getsockname_unix")
P(16, "netfilter")
P(17, "sk_skb/verdict")
P(18, "usdt.s")

LICENSE;
