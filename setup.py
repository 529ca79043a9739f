"""What pyproject.toml has no words for: examples/ goes into the wheel as purebpf/examples, where `purebpf demo` finds it."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

EXAMPLES = sorted(str(path) for pattern in ("*.py", "*.pcap", "*.md") for path in Path("examples").glob(pattern))


class BuildWithExamples(build_py):
    """An editable install has the repository's own examples and needs no copy."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            self.mkpath(str(self.examples))
            for path in EXAMPLES:
                self.copy_file(path, str(self.examples))

    @property
    def examples(self) -> Path:
        return Path(self.build_lib, "purebpf", "examples")

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        copies = [] if self.editable_mode else [str(self.examples / Path(path).name) for path in EXAMPLES]
        return [*super().get_outputs(include_bytecode), *copies]


setup(cmdclass={"build_py": BuildWithExamples})
