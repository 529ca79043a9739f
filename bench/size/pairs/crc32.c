#include "common.h"

static const u32 table[16] = {
    0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
    0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
};
MAP(sums, ARRAY, 256, u32, u32);

SEC("xdp") int crc32(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    u8 *octets = data + 14;

    if ((void *)(octets + 16) > data_end)
        return XDP_PASS;
    u32 crc = 0xFFFFFFFF;
#pragma clang loop unroll(disable)
    for (int i = 0; i < 16; i++) {
        crc = table[(crc ^ octets[i]) & 15] ^ crc >> 4;
        crc = table[(crc ^ octets[i] >> 4) & 15] ^ crc >> 4;
    }
    u32 last = *(u8 *)(data + 11);
    crc = ~crc;
    map_update_elem(&sums, &last, &crc, BPF_ANY);
    return XDP_PASS;
}

LICENSE;
