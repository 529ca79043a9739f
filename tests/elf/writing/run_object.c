/* Loads an object file with libbpf, as any C program would, and does what its input says:
 *
 *   set MAP KEY VALUE     write an entry
 *   packet PROGRAM HEX    test-run on a packet, print "ran RESULT PACKET"
 *   context PROGRAM HEX   test-run on a context, print "ran RESULT CONTEXT"
 *   attach                attach all programs
 *   getpgid N             that system call, N times
 *   child CODE PATH       a child that opens PATH and exits with CODE; print "child PID"
 *   exec PATH             a child that executes PATH; print "child PID"
 *   ring MAP              print "event BYTES" for each in a ring buffer
 *   perf MAP              the same for a perf event array
 *   iterate PROGRAM       print "read BYTES" with what an iterator gives
 *   dump MAP              print "entry KEY VALUE" for all entries
 *
 * Bytes are hex. Before loading, lines "initial MAP VALUE" set the contents of data sections. Errors go to stderr, and end it.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 16384
static struct bpf_object *object;

static void fail(const char *what, const char *which)
{
	fprintf(stderr, "%s %s: %s\n", what, which, strerror(errno));
	exit(1);
}

static size_t bytes_of(const char *hex, unsigned char *bytes)
{
	size_t size = 0;
	unsigned int byte;

	while (size < MOST && sscanf(hex + 2 * size, "%2x", &byte) == 1)
		bytes[size++] = byte;
	return size;
}

static void print(const char *what, const void *bytes, size_t size)
{
	const unsigned char *each = bytes;

	printf("%s", what);
	for (size_t at = 0; at < size; at++)
		printf("%02x", each[at]);
}

static struct bpf_map *map_of(const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);

	if (!map)
		fail("no map", name);
	return map;
}

static struct bpf_program *program_of(const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(object, name);

	if (!program)
		fail("no program", name);
	return program;
}

static size_t value_bytes(const struct bpf_map *map)
{
	enum bpf_map_type type = bpf_map__type(map);
	size_t size = bpf_map__value_size(map);

	if (type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH)
		size = (size + 7) / 8 * 8 * libbpf_num_possible_cpus();
	return size;
}

static void run(const char *name, const char *hex, int context)
{
	unsigned char in[MOST], out[MOST];
	LIBBPF_OPTS(bpf_test_run_opts, options);
	size_t size = bytes_of(hex, in);
	int fd = bpf_program__fd(program_of(name));

	if (context) {
		options.ctx_in = in;
		options.ctx_size_in = size;
	} else {
		options.data_in = in;
		options.data_size_in = size;
		options.data_out = out;
		options.data_size_out = sizeof(out);
	}
	if (bpf_prog_test_run_opts(fd, &options))
		fail("running", name);
	printf("ran %u ", options.retval);
	if (!context)
		print("", out, options.data_size_out);
	printf("\n");
}

static void dump(const char *name)
{
	static unsigned char key[MOST], next[MOST], value[MOST * 64];
	struct bpf_map *map = map_of(name);
	int fd = bpf_map__fd(map), first = 1;

	while (!bpf_map_get_next_key(fd, first ? NULL : key, next)) {
		first = 0;
		memcpy(key, next, bpf_map__key_size(map));
		if (bpf_map_lookup_elem(fd, key, value))
			fail("reading", name);
		print("entry ", key, bpf_map__key_size(map));
		print(" ", value, value_bytes(map));
		printf("\n");
	}
}

static void set(const char *name, const char *key_hex, const char *value_hex)
{
	static unsigned char key[MOST], value[MOST];

	bytes_of(key_hex, key);
	bytes_of(value_hex, value);
	if (bpf_map_update_elem(bpf_map__fd(map_of(name)), key, value, BPF_ANY))
		fail("writing", name);
}

static void initial(const char *name, const char *hex)
{
	static unsigned char value[MOST];
	size_t size = bytes_of(hex, value);

	if (bpf_map__set_initial_value(map_of(name), value, size))
		fail("setting", name);
}

static void attach(void)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, object)
		if (!bpf_program__attach(program))
			fail("attaching", bpf_program__name(program));
}

static void child(const char *path, int code, int execute)
{
	int pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (execute)
			execl(path, path, (char *)NULL);
		else
			open(path, O_RDONLY);
		_exit(code);
	}
	waitpid(pid, NULL, 0);
	printf("child %d\n", pid);
}

static int on_event(void *context, void *data, size_t size)
{
	print("event ", data, size);
	printf("\n");
	return 0;
}

static void on_sample(void *context, int cpu, void *data, __u32 size)
{
	on_event(context, data, size);
}

static void events(const char *name, int perf)
{
	int fd = bpf_map__fd(map_of(name));

	if (perf) {
		struct perf_buffer *buffer = perf_buffer__new(fd, 64, on_sample, NULL, NULL, NULL);

		if (!buffer)
			fail("reading", name);
		for (int i = 0; i < 123; i++) /* events come once there is a reader */
			getpgid(0);
		if (perf_buffer__poll(buffer, 100) < 0)
			fail("reading", name);
		perf_buffer__free(buffer);
	} else {
		struct ring_buffer *ring = ring_buffer__new(fd, on_event, NULL, NULL);

		if (!ring || ring_buffer__consume(ring) < 0)
			fail("reading", name);
		ring_buffer__free(ring);
	}
}

static void iterate(const char *name)
{
	struct bpf_link *link = bpf_program__attach_iter(program_of(name), NULL);
	unsigned char bytes[MOST];
	ssize_t size;
	int fd;

	if (!link)
		fail("attaching", name);
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0)
		fail("iterating", name);
	printf("read ");
	while ((size = read(fd, bytes, sizeof(bytes))) > 0)
		print("", bytes, size);
	printf("\n");
	close(fd);
	bpf_link__destroy(link);
}

static void obey(char *line)
{
	char *word = strtok(line, " \n"), *a = strtok(NULL, " \n"), *b = strtok(NULL, " \n"), *c = strtok(NULL, " \n");

	if (!strcmp(word, "set"))
		set(a, b, c);
	else if (!strcmp(word, "packet") || !strcmp(word, "context"))
		run(a, b ? b : "", *word == 'c');
	else if (!strcmp(word, "attach"))
		attach();
	else if (!strcmp(word, "getpgid"))
		for (int i = 0; i < atoi(a); i++)
			getpgid(0);
	else if (!strcmp(word, "child"))
		child(b, atoi(a), 0);
	else if (!strcmp(word, "exec"))
		child(a, 1, 1);
	else if (!strcmp(word, "ring") || !strcmp(word, "perf"))
		events(a, *word == 'p');
	else if (!strcmp(word, "iterate"))
		iterate(a);
	else if (!strcmp(word, "dump"))
		dump(a);
	else
		fail("not understood:", word);
}

int main(int count, char **arguments)
{
	static char line[2 * MOST + 256];
	int loaded = 0;

	if (count != 2)
		return 2;
	object = bpf_object__open_file(arguments[1], NULL);
	if (!object)
		fail("opening", arguments[1]);
	while (fgets(line, sizeof(line), stdin)) {
		char *copy = strdup(line), *word = strtok(copy, " \n"), *name = strtok(NULL, " \n"), *value = strtok(NULL, " \n");

		if (word && !strcmp(word, "initial")) {
			initial(name, value);
		} else if (word) {
			if (!loaded && bpf_object__load(object))
				fail("loading", arguments[1]);
			loaded = 1;
			obey(line);
		}
		free(copy);
	}
	if (!loaded && bpf_object__load(object))
		fail("loading", arguments[1]);
	bpf_object__close(object);
	return 0;
}
