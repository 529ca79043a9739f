/* libbpf's side: `peer open|load FILE` prints the milliseconds of the wall clock and of the CPU that it takes. */
#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return 1e3 * time.tv_sec + 1e-6 * time.tv_nsec;
}

int main(int argc, char **argv)
{
    double wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    struct bpf_object *object;
    if (argc != 3)
        return 2;
    object = bpf_object__open(argv[2]);
    if (!object || (!strcmp(argv[1], "load") && bpf_object__load(object)))
        return 1;
    printf("{\"work\": {\"wall\": %f, \"cpu\": %f}}\n", now(CLOCK_MONOTONIC) - wall, now(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    bpf_object__close(object);
    return 0;
}
