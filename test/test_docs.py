# SPDX-License-Identifier: Apache-2.0
"""Links of all pages lead somewhere, and error messages in the troubleshooting page are those of the code."""

import re

from sources import ROOT, run, tree

PLACES = ("docs", "README.md", "CONTRIBUTING.md", "examples")
PAGES = [path for path in tree() if path.suffix == ".md" and path.parts[0] in PLACES]


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def test_links_lead_to_files():
    broken, n_links = [], 0
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", without_code((ROOT / page).read_text())):
            file = target.partition("#")[0]
            if re.match(r"[a-z]+:", target) or not file or file.startswith("_generated/"):
                continue
            n_links += 1
            if not (ROOT / page.parent / file).exists():
                broken.append(f"{page}: {target}")
    assert not broken and n_links > 100


def test_every_page_is_in_the_index():
    index = "\n".join((ROOT / page).read_text() for page in ("docs/index.md", "docs/tutorials/index.md"))
    docs = [path.relative_to("docs").with_suffix("").as_posix() for path in PAGES if path.parts[0] == "docs"]
    assert docs
    missing = [page for page in docs if not {page, page.removeprefix("tutorials/")} & set(index.splitlines())]
    assert missing == ["index"]


def test_messages_in_the_troubleshooting_page_are_those_of_the_code():
    modules = [ROOT / path for path in tree() if path.suffix == ".py" and path.parts[0] == "liquid_spike_control"]
    code = "\n".join(re.sub(r'"\s+f?"', "", path.read_text()) for path in modules)
    messages = re.findall(r"^### `(.+)`$", (ROOT / "docs/troubleshooting.md").read_text(), re.MULTILINE)
    assert len(messages) > 10
    # what a message fills in stands between braces in the code
    assert [message for message in messages if message not in code] == []


def test_the_environment_is_activated_before_the_first_command():
    for page in ("README.md", "docs/first_ten_minutes.md"):
        lines = (ROOT / page).read_text().splitlines()
        first = next(k for k, line in enumerate(lines) if line.startswith("liquid-spike "))
        assert any(re.search(r"\. \.?venv/bin/activate\b", line) for line in lines[:first]), page
    # what `make run` prints at its end
    planned = run("make", "-n", "run", "ROS=jazzy", cwd=ROOT, timeout=60).splitlines()
    (line,) = (line for line in planned if line.startswith("printf"))
    assert run("sh", "-c", line, timeout=20) == "\nFor the commands below, first: . .venv/bin/activate\n"
