"""IR written by hand that has every kind of op, used by the tests of text, checker and interpreter."""

from __future__ import annotations

INTEGERS = """
function integers(%a: i64, %b: i32, %c: bool) -> i64 file "integers.py"
start:
  %k: i32 = const 7
  %n: i64 = const -3
  %t: bool = const 1
  %1: i64 = add %a, %b              @1:0
  %2: i32 = sub %1, %k              @2:4
  %3: i64 = mul %2, %n              @3:4
  %4: i64 = udiv %3, %k             @4:4
  %5: i64 = umod %4, %k             @5:4
  %6: i64 = sdiv %3, %n             @6:4
  %7: i64 = smod %3, %k             @7:4
  %8: i32 = and %7, 0xff            @8:4
  %9: i64 = or %8, %6               @9:4
  %10: i64 = xor %9, %5             @10:4
  %11: i64 = shl %10, %k            @11:4
  %12: i64 = lshr %11, 3            @12:4
  %13: i64 = ashr %11, 3            @13:4
  %14: i32 = low32 %13              @14:4
  %15: i64 = sext 16 %14            @15:4
  %16: i32 = tobe 32 %14            @16:4
  %17: bool = eq %15, %16           @17:4
  %18: bool = ne %15, %16           @18:4
  %19: bool = ult %15, %16          @19:4
  %20: bool = ule %15, %16          @20:4
  %21: bool = slt %15, %16          @21:4
  %22: bool = sle %15, %16          @22:4
  %23: bool = xor %17, %18          @23:4
  %24: bool = and %23, %t           @24:4
  %25: bool = or %24, %c            @25:4
  %26: i32 = and %12, 15            @26:4
  %27: i32 = guard %26 what=range high=15  @26:4
  br %25, then(%27, %25), done(%15) @27:4
then(%x: i64, %y: i32):
  %28: i64 = add %x, %y             @28:4
  jump done(%28)                    @28:9
done(%result: i64):
  ret %result                       @29:4
"""

PROGRAM = """
# A program with a context, a packet, maps, stack memory, helpers, a subprogram and a loop that only the kernel's budget ends.
function program(%ctx: ptr ctx) -> i64 file "program.py"
start:
  %counts: ptr map = map counts
  %key: ptr stack = alloca size=4 align=4 name=key          @2:4
  %data: ptr packet = load %ctx size=4 offset=0             @3:4
  %end: ptr packet_end = load %ctx size=4 offset=4          @3:4
  %limit: ptr packet = add %data, 14                        @3:9
  %enough: bool = ule %limit, %end                          @3:9
  br %enough, there, away                                   @3:4
there:
  %eth: ptr packet = guard %data what=packet low=14         @4:4
  %proto: i32 = load %eth size=2 offset=12                  @4:4
  %host: i32 = tobe 16 %proto                               @4:4
  store %key, %host size=4                                  @5:4
  %value: ptr map_value? = call map_lookup_elem %counts, %key  @6:4
  %found: bool = ne %value, 0                               @6:4
  br %found, count, turn(0)                                 @6:4
count:
  %place: ptr map_value = guard %value what=nonnull         @7:8
  atomic %place, 1 op=add size=8 offset=0                   @7:8
  %old: i64 = atomic %place, 1 op=add size=8 offset=8 fetch=1  @8:8
  %seen: i64 = cmpxchg %place, -5, 2 size=8 offset=0       @8:8
  %total: ptr map_value = map_value name=program.data offset=8  @9:8
  store %total, %old size=8                                 @9:8
  jump turn(%old)                                           @10:8
turn(%i: i64):
  may_goto again, leave                                     @11:4
again:
  %next: i64 = callsub increment %i                         @12:8
  jump turn(%next)                                          @12:8
leave:
  ret %i                                                    @13:4
away:
  %never: bool = eq %end, 0                                 @14:4
  br %never, impossible, out                                @14:4
out:
  ret 2                                                     @14:4
impossible:
  unreachable                                               @15:4

function increment(%x: i64) -> i64 file "program.py"
start:
  %y: i64 = add %x, 1  @20:4
  ret %y               @20:4
"""

CALLBACK = """
function program(%ctx: ptr ctx) -> i64 file "callback.py"
start:
  %frame: ptr stack = alloca size=8 align=8 name=frame      @2:4
  %f: ptr func = func add
  store %frame, 0 size=8                                    @2:4
  %there: bool = kfunc_there bpf_rcu_read_lock              @3:4
  kfunc bpf_rcu_read_lock                                   @3:4
  %n: i64 = call loop 5, %f, %frame, 0                      @3:4
  kfunc bpf_rcu_read_unlock                                 @3:4
  %total: i64 = load %frame size=8                          @4:4
  ret %total                                                @4:4

function add(%i: i32, %frame: ptr stack) -> i64 file "callback.py"
start:
  %old: i64 = load %frame size=8                            @6:4
  %new: i64 = add %old, %i                                  @6:4
  store %frame, %new size=8                                 @6:4
  %stop: bool = eq %i, 3                                    @7:4
  ret %stop                                                 @7:4
"""

KERNEL = """
function parent(%task: i64) -> i64 file "kernel.py"
start:
  %there: i64 = core ask=2 root=114 access="0:93" value=1            @2:4
  %place: i64 = core_add %task root=114 access="0:94" value=1280     @3:4
  %pid: i64 = core_load %place size=4 root=114 access="0:93" value=8 @4:4
  core_store %place, %pid size=4 root=114 access="0:93" value=8       @4:4
  %both: i64 = add %there, %pid                                      @4:4
  ret %both                                                          @4:4
"""

ALL = {"integers": INTEGERS, "program": PROGRAM, "callback": CALLBACK, "kernel": KERNEL}
