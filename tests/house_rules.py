"""The rules of CONTRIBUTING that ruff does not know: prints what breaks them. make lint runs it."""

import sys

import documents
from documents import PAGES, ROOT

OTHERS = [  # prose and links alone
    "CHANGELOG.md",
    "benchmarks/README.md",
    "benchmarks/parallel.md",
    "examples/emoji/README.md",
    "examples/yeast/README.md",
]
LONGEST = {"README.md": 150, "caffe_losses/**/*.py": 400, "tests/*.py": 500}  # files of so many lines


def broken():
    for pattern, longest in LONGEST.items():
        for path in sorted(ROOT.glob(pattern)):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > longest:
                yield f"{path.relative_to(ROOT)} has {lines} lines; at most {longest}"
    for page in [*PAGES, *OTHERS]:
        for line in documents.prose(page).splitlines():
            table = line.startswith("|")
            if len(line) > 120 and not table:
                yield f"{page}: over 120 characters: {line}"
            if page in PAGES and (line.count("`") % 2 or (line.count("[") != line.count("]") and not table)):
                yield f"{page}: inline code or a link goes over the end of the line: {line}"


if __name__ == "__main__":
    sys.exit("\n".join(broken()) or None)
