"""Names of programs' sections: what loaders take a program's type, attach type, flags and hook from."""

from __future__ import annotations

from purebpf.elf.programs import meaning
from purebpf.errors import Error
from purebpf.spec import ProgramSpec
from purebpf.tables.enums import ProgramType
from purebpf.tables.sections import SLEEPABLE, Section, section_name


def program_section(spec: ProgramSpec) -> str:
    """The section of a program. Raises Error where no name says what it is."""
    name = spec.section.removeprefix("?") or _derived(spec)
    found = meaning(name, {})
    if found is None and spec.type is not ProgramType.UNSPEC:
        raise Error(f"The program {spec.name!r} has the section {name!r}, by which no loader knows what it is.")
    if found is not None:
        _check(spec, name, *found)
    return f"?{name}" if spec.optional else name


def _check(spec: ProgramSpec, name: str, section: Section, hook: str) -> None:
    """Raises Error where the section says something else than the program."""
    attach = section.attach if spec.attach_type is None else spec.attach_type  # loaders take the section's then
    operation = spec.type is ProgramType.STRUCT_OPS  # which the operations tell, not the section
    said = section.type, section.attach, _flags(section.type, section.flags), "" if operation else hook
    wanted = spec.type, attach, _flags(spec.type, spec.flags), "" if operation else spec.attach_to
    if said != wanted:
        raise Error(
            f"The program {spec.name!r} is {_words(*wanted)}, but its section {name!r} says {_words(*said)}; an object file "
            "has nothing but the section to tell it by."
        )


def _derived(spec: ProgramSpec) -> str:
    try:
        return section_name(spec.type, spec.attach_type, spec.attach_to, spec.flags)
    except KeyError as error:
        raise Error(f"The program {spec.name!r} has no section, and {error.args[0]}.") from None


def _flags(type: ProgramType, flags: int) -> int:
    """All programs of system calls may sleep, and loaders know."""
    return flags | SLEEPABLE if type is ProgramType.SYSCALL else flags


def _words(type: ProgramType, attach: object, flags: int, hook: str) -> str:
    parts = [type.name.lower()]
    parts += [f"for {attach.name.lower()}"] if hasattr(attach, "name") else []
    parts += [f"at {hook!r}"] if hook else []
    parts += [f"with the flags {flags:#x}"] if flags else []
    return " ".join(parts)
