"""Python files with programs: imported to get at the programs, which are compiled together."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from purebpf.btf.running import instead
from purebpf.errors import Error
from purebpf.held import with_tables
from purebpf.program import Program, spec_and_declarations
from purebpf.spec import CollectionSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from purebpf.compiler.options import Options
    from purebpf.lang.maps import MapDeclaration
    from purebpf.operations import StructOps


def module_of(path: Path) -> ModuleType:
    """The file as a module; its main block does not run. Raises Error for what is no Python file, or not well written."""
    name = f"purebpf_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Error(no_python(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise Error(f"{path}:{error.lineno}: {error.msg}" if error.lineno else no_python(path)) from None
    except Error:
        raise
    except Exception as error:
        raise Error(f"{path} cannot be imported:\n{_of_the_file(error)}") from error
    finally:
        sys.path.pop(0)
    return module


def no_python(path: Path) -> str:
    """The words for a file that is none of Python's."""
    more = "; `purebpf object` and `purebpf gen` take object files" if path.suffix == ".o" else ""
    return f"{path} is no Python file{more}"


def _of_the_file(error: Exception) -> str:
    """The traceback of an error without the frames that led to the file."""
    from traceback import TracebackException

    told = TracebackException.from_exception(error)
    ours, machinery = str(Path(__file__).parents[1]), "<frozen importlib"
    told.stack[:] = [frame for frame in told.stack if not frame.filename.startswith((ours, machinery))]
    return "".join(told.format(chain=False)).rstrip()


def programs_of(path: Path) -> dict[str, Program]:
    """The programs that a file defines, by the name they have there; its main block does not run."""
    return _programs(module_of(path), path)


def definitions_of(path: Path) -> list[Program | StructOps]:
    """The programs that a file defines, and the operations of the kernel."""
    from purebpf.operations import StructOps

    module = module_of(path)
    operations = [value for value in vars(module).values() if isinstance(value, StructOps)]
    programs = _found(module) if operations else _programs(module, path)
    return [*programs.values(), *operations]


def _programs(module: ModuleType, path: Path) -> dict[str, Program]:
    found = _found(module)
    if not found:
        raise Error(f"{path} defines no program: decorate a function, with @bpf.xdp for example")
    return found


def _found(module: ModuleType) -> dict[str, Program]:
    return {name: value for name, value in vars(module).items() if isinstance(value, Program)}


def neighbours(path: Path) -> list[Path]:
    """The files of all modules that are imported now and lie in the file's folder or below: what it may be made of."""
    import sysconfig

    folder = path.resolve().parent
    packages = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")}
    files = {Path(file).resolve() for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}
    near = {file for file in files if file.is_relative_to(folder) and file.suffix == ".py"}
    return sorted(file for file in near if not any(file.is_relative_to(each) for each in packages))


def compiled(path: Path, options: Options | None = None) -> tuple[CollectionSpec, dict[str, MapDeclaration]]:
    """What a file defines as one spec, with what its tables of programs and maps hold before they are loaded, and the
    declarations of the maps. Raises CompileError, and Error for a program that replaces a part of another."""
    defined = definitions_of(path)
    programs = [program for each in defined for program in ([each] if isinstance(each, Program) else each.programs.values())]
    if options is not None:
        for program in programs:
            program.options = options
    for program in with_tables(programs, Program.compiled):
        if program.whole is not None:
            what = f"`{program.name}` replaces or traces a part of `{program.whole.name}` once that is loaded"
            raise Error(f"{what}: keep it in Python, a package cannot tell that")
    with instead(options.btf if options is not None else ""):
        return spec_and_declarations(*defined)
