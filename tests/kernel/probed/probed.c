/* What tests of uprobe parameters and of probes in programs (USDT) trace. Built by build.sh into the .so files beside it. */
#include <stdbool.h>

enum colour { RED = -1, GREEN, BLUE };
struct pair { long a, b; };
struct big { long a[4]; };
typedef unsigned short port_t;

__attribute__((noinline)) int add(int a, long b, unsigned char c, bool d) { return a + (int)b + c + d; }
__attribute__((noinline)) long mixed(double scale, enum colour colour, const char *name, port_t port)
{ return (long)scale + colour + name[0] + port; }
__attribute__((noinline)) long by_value(int first, struct big big, int last) { return first + big.a[0] + last; }
__attribute__((noinline)) long many(int a, int b, int c, int d, int e, int f, int g, int h, int i)
{ return a + b + c + d + e + f + g + h + i; }
__attribute__((noinline)) double real(double x) { return x * 2; }
__attribute__((noinline)) void nothing(void) { __asm__ volatile(""); }
__attribute__((noinline)) bool yes(int x) { return x > 0; }
static __attribute__((noinline)) short hidden(short s) { __asm__ volatile(""); return s * 2; }
short calls_hidden(short s) { return hidden(s); }

/* A probe: an instruction that does nothing, and a note that tells where it is and what its operands are (.note.stapsdt). */
#define PROBE(name, semaphore, operands, ...)                                                                              \
    __asm__ volatile("990: nop\n"                                                                                          \
                     ".pushsection .note.stapsdt,\"\",\"note\"\n"                                                          \
                     ".balign 4\n.4byte 992f - 991f, 994f - 993f, 3\n"                                                     \
                     "991: .asciz \"stapsdt\"\n992: .balign 4\n"                                                           \
                     "993: .8byte 990b, base_of_probes, " semaphore "\n"                                                   \
                     ".asciz \"tests\"\n.asciz \"" name "\"\n.asciz \"" operands "\"\n994: .balign 4\n"                    \
                     ".popsection\n" ::__VA_ARGS__)
__asm__(".pushsection .stapsdt.base,\"a\",\"progbits\"\n.hidden base_of_probes\nbase_of_probes: .space 1\n.popsection\n");

unsigned short gate __attribute__((section(".probes"), visibility("hidden")));
int level = -3;

#ifdef __x86_64__
#define CONSTANT "$"
#else
#define CONSTANT ""
#endif

void in_registers(int a, unsigned char b, long c)
{ PROBE("values", "0", "-4@%[a] 1@%[b] -8@%[c]", [a] "r"(a), [b] "r"((int)b), [c] "r"(c)); }

void in_memory(int a, long c)
{
    struct { int a, b; long c; } local = {a, 200, c};
    PROBE("values", "0", "-4@%[a] 1@" CONSTANT "200 -8@%[c]", [a] "m"(local.a), [c] "m"(local.c));
}

#ifdef __x86_64__
void indexed(long *table, long i) { PROBE("indexed", "0", "8@8(%[t],%[i],8) -1@%h[h]", [t] "r"(table), [i] "r"(i), [h] "Q"(i)); }
void global(void) { PROBE("global", "0", "-4@level(%%rip)"); }
#endif

int gated(int x)
{
    if (*(volatile unsigned short *)&gate)
        PROBE("gated", "gate", "-4@%[x]", [x] "r"(x));
    return *(volatile unsigned short *)&gate;
}

void without_arguments(void) { PROBE("bare", "0", ""); }
