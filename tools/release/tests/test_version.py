"""One version for all packages."""

import re
import subprocess

from tools.release import checking, version


def test_the_changelog_describes_the_current_version():
    assert checking.changelog_version() == version.current()


def test_a_new_version_replaces_the_old_one_everywhere(tmp_path, monkeypatch):
    texts = {
        "pyproject.toml": 'version = "0.1.0"\ndependencies = ["flambeau-nn==0.1.0", "a==10.1.0", "b==0.1.0.5"]\n',
        "CHANGELOG.md": "## 0.1.0\n",
        "figure.svg": "<text>0.1.0</text>\n",
        "other.py": "1.0.1.0\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.setattr(version, "ROOT", tmp_path)
    assert version.replace("0.1.0", "0.2.0rc1") == ["pyproject.toml"]
    expected = 'version = "0.2.0rc1"\ndependencies = ["flambeau-nn==0.2.0rc1", "a==10.1.0", "b==0.1.0.5"]\n'
    assert (tmp_path / "pyproject.toml").read_text() == expected
    assert all((tmp_path / name).read_text() == text for name, text in texts.items() if name != "pyproject.toml")


def test_the_version_is_the_same_in_all_packages():
    files = [
        *version.ROOT.glob("packages/*/pyproject.toml"),
        version.ROOT / "packages/tensor-core/python/flambeau/__init__.py",
    ]
    found = {path: re.findall(r'^(?:__)?version(?:__)? = "(.*)"$', path.read_text(), re.MULTILINE) for path in files}
    assert set(map(tuple, found.values())) == {(version.current(),)}, found
