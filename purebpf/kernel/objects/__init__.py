"""The objects that the kernel holds: programs, maps, links and BTF of the whole system by their ids, and who holds them.

Ids count up and are never used twice; an object may go between any two questions, which is no error here. Seeing them takes
CAP_SYS_ADMIN.
"""
