/* Only maps and variables. */
#include "defs.h"

HASH_OF(u32, u64, 4) alone SEC(".maps");
u64 variable = 3;
