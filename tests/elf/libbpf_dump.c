/* What libbpf makes of object files, as lines of words that tabs separate; built by the tests with `gcc ... -lbpf`.

   object PATH
   refused ERRNO                                       (it does not open)
   map NAME TYPE KEY VALUE ENTRIES FLAGS EXTRA INNER   (INNER: TYPE/KEY/VALUE/ENTRIES/FLAGS or -)
   program NAME SECTION TYPE ATTACH SLOTS AUTOLOAD     (as it is opened)
   relocated NAME HEX                                  (descriptors as zero; missing where loading ends before)
   loaded NAME 0 or ERRNO
   says TEXT                                           (libbpf's warnings, before what they are about)

   Where not all programs load, each is loaded alone, from an object opened anew: one that is refused says nothing about the
   others. Nothing is pinned. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEW = 128 };

static bool relocated;

static int print(enum libbpf_print_level level, const char *format, va_list arguments)
{
    static char line[1 << 16];
    if (level != LIBBPF_WARN)
        return 0;
    vsnprintf(line, sizeof line, format, arguments);
    for (char *at = line; *at; at++)
        if (*at == '\n' || *at == '\t')
            *at = ' ';
    /* relocations are done before the first program is loaded or prepared */
    relocated |= strstr(line, "': failed to load: ") != NULL;
    printf("says\t%s\n", line);
    return 0;
}

static struct bpf_object *opened(const char *path, const char *btf)
{
    LIBBPF_OPTS(bpf_object_open_opts, options, .btf_custom_path = btf);
    struct bpf_object *object = bpf_object__open_file(path, &options);
    struct bpf_map *map;
    if (object)
        bpf_object__for_each_map(map, object)
            bpf_map__set_pin_path(map, NULL);
    return object;
}

static void show_maps(struct bpf_object *object)
{
    struct bpf_map *map, *inner;
    bpf_object__for_each_map(map, object) {
        printf("map\t%s\t%u\t%u\t%u\t%u\t%u\t%llu\t", bpf_map__name(map), bpf_map__type(map), bpf_map__key_size(map),
               bpf_map__value_size(map), bpf_map__max_entries(map), bpf_map__map_flags(map),
               (unsigned long long)bpf_map__map_extra(map));
        inner = bpf_map__inner_map(map);
        if (inner)
            printf("%u/%u/%u/%u/%u\n", bpf_map__type(inner), bpf_map__key_size(inner), bpf_map__value_size(inner),
                   bpf_map__max_entries(inner), bpf_map__map_flags(inner));
        else
            printf("-\n");
    }
}

static int count_programs(struct bpf_object *object)
{
    struct bpf_program *program;
    int count = 0;
    bpf_object__for_each_program(program, object) {
        printf("program\t%s\t%s\t%u\t%u\t%zu\t%d\n", bpf_program__name(program), bpf_program__section_name(program),
               bpf_program__type(program), bpf_program__expected_attach_type(program), bpf_program__insn_cnt(program),
               bpf_program__autoload(program));
        count++;
    }
    return count;
}

static void show_code(struct bpf_program *program)
{
    size_t count = bpf_program__insn_cnt(program);
    struct bpf_insn *code = malloc(count * sizeof *code);
    unsigned char *bytes = (unsigned char *)code;
    memcpy(code, bpf_program__insns(program), count * sizeof *code);
    for (size_t at = 0; at + 1 < count; at++) {
        if (code[at].code != (BPF_LD | BPF_IMM | BPF_DW))
            continue;
        if (code[at].src_reg == BPF_PSEUDO_MAP_FD || code[at].src_reg == BPF_PSEUDO_MAP_VALUE)
            code[at].imm = 0;
        if (code[at].src_reg == BPF_PSEUDO_BTF_ID)
            code[at + 1].imm = 0;
        at++;
    }
    printf("relocated\t%s\t", bpf_program__name(program));
    for (size_t at = 0; at < count * sizeof *code; at++)
        printf("%02x", bytes[at]);
    printf("\n");
    free(code);
}

/* Hash tables and stacks of a few entries: the kernel fills all that memory, and no program knows how much there is. */
static void make_small(struct bpf_object *object)
{
    struct bpf_map *map;
    bpf_object__for_each_map(map, object)
        switch (bpf_map__type(map)) {
        case BPF_MAP_TYPE_HASH:
        case BPF_MAP_TYPE_LRU_HASH:
        case BPF_MAP_TYPE_PERCPU_HASH:
        case BPF_MAP_TYPE_LRU_PERCPU_HASH:
        case BPF_MAP_TYPE_STACK_TRACE:
            if (bpf_map__max_entries(map) > FEW)
                bpf_map__set_max_entries(map, FEW);
        default:
            break;
        }
}

/* Load one program, or all with a number below 0; what came of it is told, but for all only when they load. */
static bool load(const char *path, const char *btf, int number)
{
    struct bpf_object *object = opened(path, btf);
    struct bpf_program *program;
    int at = 0, error;
    bpf_object__for_each_program(program, object)
        bpf_program__set_autoload(program, number < 0 || at++ == number);
    make_small(object);
    relocated = false;
    error = bpf_object__load(object);
    at = 0;
    bpf_object__for_each_program(program, object) {
        if (number < 0 ? error != 0 : at++ != number)
            continue;
        if (!error || relocated)
            show_code(program);
        printf("loaded\t%s\t%d\n", bpf_program__name(program), -error);
    }
    bpf_object__close(object);
    return !error;
}

int main(int argc, char **argv)
{
    const char *btf = getenv("TARGET_BTF");
    libbpf_set_print(print);
    for (int each = 1; each < argc; each++) {
        struct bpf_object *object = opened(argv[each], btf);
        int count;
        printf("object\t%s\n", argv[each]);
        if (!object) {
            printf("refused\t%d\n", errno);
            continue;
        }
        show_maps(object);
        count = count_programs(object);
        bpf_object__close(object);
        if (!load(argv[each], btf, -1))
            for (int number = 0; number < count; number++)
                load(argv[each], btf, number);
        fflush(stdout);
    }
    return 0;
}
