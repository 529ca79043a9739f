/* The peer of python -m bench.events: libbpf's consumer of a ring buffer, which adds up a field of every record.
 *
 * usage: peer fd            for each line on standard input: take all that is there, print records, nanoseconds and the sum
 */
#include <bpf/libbpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t total;

static int add(void *context, void *data, size_t size)
{
	total += *(uint64_t *)data;
	return 0;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

int main(int argc, char **argv)
{
	struct ring_buffer *ring = argc == 2 ? ring_buffer__new(atoi(argv[1]), add, NULL, NULL) : NULL;
	char line[16];

	if (!ring)
		return 2;
	while (fgets(line, sizeof(line), stdin)) {
		uint64_t start, taken;
		int count;

		total = 0;
		start = now();
		count = ring_buffer__consume(ring);
		taken = now() - start;
		printf("%d %llu %llu\n", count, (unsigned long long)taken, (unsigned long long)total);
		fflush(stdout);
	}
	return 0;
}
