"""A token bucket per source address: 100 packets a second, bursts of 20."""

import purebpf as bpf
from purebpf import be32, u64
from purebpf.net import ETH_P_IP, Ethernet, IPv4

BURST = 20
NS_PER_TOKEN = 10_000_000


@bpf.struct
class Bucket:
    tokens: u64 = 0
    filled: u64 = 0


buckets = bpf.LruHash[be32, Bucket](max_entries=65536)


@bpf.xdp
def token_bucket(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None:
        return bpf.XDP_DROP
    now = bpf.ktime()
    bucket = buckets.get(ip.saddr)
    if bucket is None:
        buckets[ip.saddr] = Bucket(tokens=BURST - 1, filled=now)
        return bpf.XDP_PASS
    fresh = u64(now - bucket.filled) // NS_PER_TOKEN
    if fresh > 0:
        bucket.tokens = min(bucket.tokens + fresh, BURST)
        bucket.filled = now
    if bucket.tokens == 0:
        return bpf.XDP_DROP
    bucket.tokens -= 1
    return bpf.XDP_PASS
