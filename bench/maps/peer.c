/* The peer of python -m bench.maps: the same map operations by libbpf, which prints nanoseconds of processor time, one line an operation.
 *
 * usage: peer fd entries rounds            (fd: a hash table of u32 keys and u64 values that the Python around it made)
 */
#include <bpf/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static uint64_t read_all(int fd, uint32_t entries)
{
	uint64_t start = now();
	uint32_t *keys = malloc(entries * sizeof(*keys)), cursor, done = 0, count;
	uint64_t *values = malloc(entries * sizeof(*values)), taken;
	void *before = NULL;
	int error;

	do {
		count = entries - done;
		error = bpf_map_lookup_batch(fd, before, &cursor, keys + done, values + done, &count, NULL);
		done += count;
		before = &cursor;
	} while (!error && done < entries);
	taken = now() - start;
	if (done != entries) {
		fprintf(stderr, "read %u of %u entries\n", done, entries);
		exit(1);
	}
	free(keys);
	free(values);
	return taken;
}

static uint64_t lookups(int fd, uint32_t number)
{
	uint64_t start = now(), value;

	for (uint32_t key = 0; key < number; key++)
		if (bpf_map_lookup_elem(fd, &key, &value))
			exit(1);
	return (now() - start) * 1000 / number;
}

int main(int argc, char **argv)
{
	int fd = atoi(argv[1]), rounds = atoi(argv[3]);
	uint32_t entries = atoi(argv[2]);

	if (argc != 4)
		return 2;
	for (int i = 0; i < rounds; i++)
		printf("read %llu\nlookup_ps %llu\n", (unsigned long long)read_all(fd, entries),
		       (unsigned long long)lookups(fd, 100000));
	return 0;
}
