/* CO-RE relocations of every kind, about types of the kernel. Declarations are a program's own: few fields, wrong places. */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define CORE __attribute__((preserve_access_index))
#define field(kind, access) __builtin_preserve_field_info(access, kind)
#define type(kind, name) __builtin_preserve_type_info(*(typeof(name) *)0, kind)
#define number(kind, name) __builtin_btf_type_id(*(typeof(name) *)0, kind)
#define constant(kind, type, name) __builtin_preserve_enum_value(*(type *)name, kind)

struct list_head {
	struct list_head *next, *prev;
} CORE;

struct sched_entity {
	u64 vruntime;
	struct list_head group_node;
} CORE;

struct task_struct {
	int pid, tgid;
	char comm[16];
	struct task_struct *real_parent;
	struct sched_entity se;
	unsigned in_execve : 1;
	unsigned sched_reset_on_fork : 1;
	int no_such_field;
	unsigned long flags; /* is an int there */
} CORE;

struct task_struct___other {
	int in_execve_too;
	int tgid;
} CORE;

struct sk_buff {
	u32 len;
	union {
		struct {
			u8 cloned : 1, nohdr : 1;
		};
	};
	u8 pkt_type : 3;
	u32 hash;
} CORE;

struct sock_common {
	union {
		struct {
			u32 skc_daddr;
			u32 skc_rcv_saddr;
		};
	};
	unsigned short skc_family;
} CORE;

struct sock {
	struct sock_common __sk_common;
} CORE;

struct no_such_struct {
	int a;
} CORE;

enum bpf_map_type {
	BPF_MAP_TYPE_RINGBUF = 1,
	BPF_MAP_TYPE_HASH = 2,
	BPF_MAP_TYPE_OF_THE_FUTURE = 3,
};
enum no_such_enum {
	NO_SUCH_CONSTANT = 7,
};
enum bpf_func_id___x {
	BPF_FUNC_ringbuf_output = 3,
};

typedef int pid_t;
typedef struct {
	int counter;
} atomic_t;
typedef void (*work_func_t)(struct work_struct *work);

char _license[] __attribute__((section("license"))) = "GPL";

#define sum(value) (*(volatile u64 *)&out += (value))

__attribute__((section("xdp"))) int judged(void *ctx)
{
	struct task_struct *task = *(struct task_struct **)ctx;
	struct task_struct___other *other = (void *)task;
	struct sk_buff *skb = *(struct sk_buff **)ctx;
	struct sock *sk = *(struct sock **)ctx;
	struct no_such_struct *none = *(struct no_such_struct **)ctx;
	u64 out = 0;

	sum(field(0, task->tgid));
	sum(field(0, task->comm[3]));
	sum(field(0, task->se.group_node.prev));
	sum(field(1, task->comm));
	sum(field(1, task->se));
	sum(field(2, task->no_such_field));
	sum(field(2, task->pid));
	sum(field(3, task->pid));
	sum(field(3, task->flags));
	sum(field(0, skb->cloned));
	sum(field(1, skb->pkt_type));
	sum(field(3, skb->pkt_type));
	sum(field(4, skb->pkt_type));
	sum(field(5, skb->pkt_type));
	sum(field(4, task->in_execve));
	sum(field(4, task->pid));
	sum(field(5, task->pid));
	sum(field(2, none->a));
	sum(number(0, struct task_struct));
	sum(number(1, struct task_struct));
	sum(number(1, struct no_such_struct));
	sum(type(0, struct task_struct));
	sum(type(0, struct no_such_struct));
	sum(type(0, pid_t));
	sum(type(0, work_func_t));
	sum(type(1, struct sk_buff));
	sum(type(1, atomic_t));
	sum(type(2, struct list_head));
	sum(type(2, struct task_struct));
	sum(type(2, struct task_struct___other));
	sum(type(2, atomic_t));
	sum(constant(0, enum bpf_map_type, BPF_MAP_TYPE_RINGBUF));
	sum(constant(0, enum bpf_map_type, BPF_MAP_TYPE_OF_THE_FUTURE));
	sum(constant(0, enum no_such_enum, NO_SUCH_CONSTANT));
	sum(constant(1, enum bpf_map_type, BPF_MAP_TYPE_RINGBUF));
	sum(constant(1, enum bpf_map_type, BPF_MAP_TYPE_OF_THE_FUTURE));
	sum(constant(1, enum bpf_func_id___x, BPF_FUNC_ringbuf_output));
	sum(task->pid);
	sum(task->flags);
	sum(task->real_parent->real_parent->tgid);
	sum(task->se.vruntime);
	sum(task->comm[5]);
	sum(task->no_such_field);
	sum(other->tgid);
	sum(skb->len + skb->hash);
	sum(skb->nohdr);
	sum(sk->__sk_common.skc_rcv_saddr);
	sum(sk->__sk_common.skc_family);
	task->pid = 5;
	skb->hash = out;
	return out;
}
