"""Tests of published files and repositories, with a local server."""

import contextlib
import hashlib
import http.server
import io
import os
import pickle
import stat
import sys
import threading
import types
import zipfile

import pytest

import flambeau as fb
from flambeau import hub
from flambeau.hub import _folder, _github

HUBCONF = '''
dependencies = ["math"]
import beside

def double(x, offset=0):
    """Twice a number."""
    return beside.factor * x + offset

def _private():
    pass
'''


class Server:
    """State of the local server: content and status for each path, and the requests it received."""

    def __init__(self):
        self.files, self.requests, self.url, self.cut = {}, [], "", None


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.state.requests.append((self.path, self.headers["Authorization"]))
        content, status = self.server.state.files.get(self.path, (b"", 404))
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: self.server.state.cut])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    state = Server()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        listener.state = state
        state.url = f"http://127.0.0.1:{listener.server_port}"
        monkeypatch.setattr(_github, "SITE", state.url)
        monkeypatch.setattr(_github, "API", f"{state.url}/api")
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        listener.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Set and return the hub's folder."""
    monkeypatch.setattr(_folder, "_selected_dir", [])
    hub.set_dir(tmp_path / "hub")
    return tmp_path / "hub"


@pytest.fixture
def repository(tmp_path):
    place = tmp_path / "repository"
    place.mkdir()
    (place / "hubconf.py").write_text(HUBCONF)
    (place / "beside.py").write_text("factor = 2")
    yield place
    sys.modules.pop("beside", None)


def archive(**files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, content in files.items():
            file.writestr(f"owner-name-0123abc/{name}.py", content)
    return packed.getvalue()


def publish(server, ref="main", factor=2, address="zipball/main"):
    server.files["/owner/name/tree/main/"] = (b"a page", 200)
    server.files[f"/owner/name/{address}"] = (archive(hubconf=HUBCONF, beside=f"factor = {factor}"), 200)
    listed = f'[{{"name": "{ref}", "commit": {{"sha": "0123abc"}}}}]'.encode()
    for kind, found in (("branches", listed), ("tags", b"[]")):
        server.files[f"/api/repos/owner/name/{kind}?per_page=100&page=1"] = (found, 200)
        server.files[f"/api/repos/owner/name/{kind}?per_page=100&page=2"] = (b"[]", 200)


# The folder


def test_the_hub_folder_is_that_of_pytorch(monkeypatch, tmp_path):
    monkeypatch.setattr(_folder, "_selected_dir", [])
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert hub.get_dir() == os.path.expanduser("~/.cache/torch/hub")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert hub.get_dir() == str(tmp_path / "torch" / "hub")
    assert hub._get_torch_home() == str(tmp_path / "torch")
    monkeypatch.setenv("TORCH_HOME", "~/elsewhere")
    assert hub.get_dir() == os.path.expanduser("~/elsewhere/hub")
    hub.set_dir("~/chosen")
    assert hub.get_dir() == os.path.expanduser("~/chosen")


# Files


@pytest.mark.parametrize("progress", [False, True])
def test_a_downloaded_file_is_complete(server, tmp_path, progress, capsys):
    content = os.urandom(300_000)
    server.files["/file.bin"] = (content, 200)
    target = tmp_path / "file.bin"
    digest = hashlib.sha256(content).hexdigest()
    hub.download_url_to_file(f"{server.url}/file.bin", str(target), digest[:8], progress)
    assert target.read_bytes() == content and list(tmp_path.iterdir()) == [target]
    assert ("100" in capsys.readouterr().err) is progress
    usual = tmp_path / "usual"
    usual.touch()
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda server: setattr(server, "cut", 100), RuntimeError, "ended after 100 of 2000 bytes"),
        (lambda server: server.files.clear(), OSError, "404"),
        (lambda server: server.files.update({"/f": (b"another", 200)}), RuntimeError, r"invalid hash value \(expected"),
    ],
)
def test_failed_downloads_do_not_replace_the_file(server, tmp_path, spoil, error, message):
    content = bytes(2000)
    server.files["/f"] = (content, 200)
    target = tmp_path / "f"
    target.write_text("what was there")
    spoil(server)
    with pytest.raises(error, match=message):
        hub.download_url_to_file(f"{server.url}/f", target, hashlib.sha256(content).hexdigest(), progress=False)
    assert target.read_text() == "what was there" and list(tmp_path.iterdir()) == [target]


def test_downloads_show_their_progress_without_tqdm(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    server.files["/f"] = (bytes(200_000), 200)
    hub.download_url_to_file(f"{server.url}/f", tmp_path / "f")
    assert capsys.readouterr().err.endswith("\r100.0%\n")


def test_the_progress_bar_can_be_imported(monkeypatch):
    bar = object()
    monkeypatch.setitem(sys.modules, "tqdm", types.SimpleNamespace(tqdm=bar))
    assert hub.tqdm is bar
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(AttributeError, match="install tqdm"):
        _ = hub.tqdm


def test_weights_are_downloaded_once(server, folder, capsys):
    saved = io.BytesIO()
    fb.save({"weight": fb.arange(3)}, saved)
    name = f"model-{hashlib.sha256(saved.getvalue()).hexdigest()[:8]}.pth"
    server.files[f"/models/{name}?version=1"] = (saved.getvalue(), 200)
    address = f"{server.url}/models/{name}?version=1"
    for _ in range(2):
        state = hub.load_state_dict_from_url(address, progress=False, check_hash=True)
        assert state["weight"].tolist() == [0, 1, 2]
    assert len(server.requests) == 1 and capsys.readouterr().out.startswith(f'Downloading: "{address}" to {folder}')
    assert [path.name for path in (folder / "checkpoints").iterdir()] == [name]
    from flambeau.utils import model_zoo

    state = model_zoo.load_url(address, folder / "other", progress=False, file_name="x.pth")
    assert state["weight"].tolist() == [0, 1, 2] and (folder / "other" / "x.pth").exists()


def test_model_zoo_has_the_progress_bar_of_hub():
    pytest.importorskip("tqdm")
    from flambeau.utils import model_zoo

    assert model_zoo.tqdm is hub.tqdm
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        model_zoo.other  # noqa: B018


def test_weights_with_another_hash_are_rejected(server, folder):
    server.files["/model-0123abcd.pth"] = (b"anything", 200)
    with pytest.raises(RuntimeError, match='expected "0123abcd"'):
        hub.load_state_dict_from_url(f"{server.url}/model-0123abcd.pth", progress=False, check_hash=True)
    assert list((folder / "checkpoints").iterdir()) == []


class Evil:
    def __reduce__(self):
        return os.mkdir, ("made by the file",)


def test_loading_weights_runs_no_code(server, folder, tmp_path, monkeypatch):
    saved = io.BytesIO()
    fb.save(Evil(), saved)
    server.files["/evil.pth"] = (saved.getvalue(), 200)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match="mkdir"):
        hub.load_state_dict_from_url(f"{server.url}/evil.pth", progress=False)
    assert not (tmp_path / "made by the file").exists()
    hub.load_state_dict_from_url(f"{server.url}/evil.pth", progress=False, weights_only=False)
    assert (tmp_path / "made by the file").exists()


# Repositories


def test_hub_functions_accept_a_local_folder(repository):
    assert hub.load(repository, "double", 3, offset=1, source="local") == 7
    assert hub.list(str(repository), source="LOCAL") == ["double"]
    assert hub.help(repository, "double", source="local") == "Twice a number."
    assert str(repository) not in sys.path


@pytest.mark.parametrize(
    ("hubconf", "name", "error", "message"),
    [
        (HUBCONF, "triple", RuntimeError, "Cannot find callable triple in hubconf"),
        (HUBCONF, "dependencies", RuntimeError, "Cannot find callable dependencies"),
        ("dependencies = ['math', 'no_such_package']", "f", RuntimeError, "Missing dependencies: no_such_package"),
    ],
)
def test_missing_entry_points_and_dependencies_raise(repository, hubconf, name, error, message):
    (repository / "hubconf.py").write_text(hubconf)
    with pytest.raises(error, match=message):
        hub.load(repository, name, source="local")


def test_unknown_sources_and_invalid_repositories_are_rejected():
    with pytest.raises(ValueError, match='Unknown source: "gitlab"'):
        hub.load("owner/name", "f", source="gitlab")
    for wrong in ("owner", "owner/", "owner/name/more"):
        with pytest.raises(ValueError, match="owner/name"):
            hub.load(wrong, "f")


def test_a_repository_is_downloaded_once(server, folder, capsys):
    publish(server)
    assert hub.load("owner/name", "double", 4, trust_repo=True) == 8
    publish(server, factor=3)
    sys.modules.pop("beside")
    assert hub.load("owner/name:main", "double", 4) == 8
    assert hub.list("owner/name:main", verbose=False) == ["double"]
    output = capsys.readouterr()
    assert output.out.count("Downloading:") == 1 and output.err == f"Using cache found in {folder}/owner_name_main\n"
    sys.modules.pop("beside")
    assert hub.load("owner/name:main", "double", 4, force_reload=True) == 12
    sys.modules.pop("beside")
    assert (folder / "trusted_list").read_text() == "owner_name\n"
    assert {path.name for path in folder.iterdir()} == {"owner_name_main", "trusted_list"}


def test_cached_repositories_need_no_network(server, folder, monkeypatch):
    publish(server)
    hub.list("owner/name", trust_repo=True)
    monkeypatch.setattr(_github, "SITE", "http://127.0.0.1:1")
    assert hub.list("owner/name") == ["double"]
    with pytest.raises(RuntimeError, match="cannot connect to"):
        hub.list("owner/other")
    sys.modules.pop("beside")


def test_branches_and_forks_are_resolved(server, folder, monkeypatch):
    publish(server, ref="a/branch", address="zipball/a/branch")
    assert hub.list("owner/name:a/branch", trust_repo=True) == ["double"] and (folder / "owner_name_a_branch").is_dir()
    with pytest.raises(ValueError, match=r"Cannot find fork in .*forked repo"):
        hub.list("owner/name:fork")
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    with pytest.raises(ValueError, match="Cannot find fork"):
        hub.list("owner/name:fork")
    assert [given for path, given in server.requests if path.startswith("/api")][-1] == "token secret"
    server.files["/owner/name/zipball/both"] = (b"", 300)
    publish(server, address="zipball/refs/heads/both")
    assert hub.list("owner/name:both", skip_validation=True) == ["double"]
    del server.files["/owner/name/tree/main/"]
    server.files["/owner/name/zipball/master"] = (archive(hubconf="def of_master(): pass"), 200)
    assert hub.list("owner/name", skip_validation=True) == ["of_master"]
    sys.modules.pop("beside")


def test_untrusted_repositories_ask_for_confirmation(server, folder, monkeypatch):
    publish(server)
    asked = []

    def answer(text):
        monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or text)

    answer("n")
    with pytest.raises(RuntimeError, match="Untrusted repository"):
        hub.list("owner/name")
    assert not any(path.endswith("zipball/main") for path, _ in server.requests)
    answer("Y")
    assert hub.list("owner/name") == ["double"]
    assert hub.list("owner/name") == ["double"] and len(asked) == 2 and "owner_name" in asked[0]
    answer("no")
    with pytest.raises(RuntimeError, match="Untrusted repository"):
        hub.list("owner/name", trust_repo=False)
    sys.modules.pop("beside")


@pytest.mark.parametrize("names", [("top/hubconf.py", "top/../../../escaped"), ("/hubconf.py", "../escaped"), ()])
def test_an_archive_cannot_write_outside_the_hub_folder(server, folder, names):
    publish(server)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name in names:
            file.writestr(name, "def f(): pass")
    server.files["/owner/name/zipball/main"] = (packed.getvalue(), 200)
    with contextlib.suppress(ValueError):
        hub.list("owner/name", trust_repo=True)
    written = {path.relative_to(folder).parts[0] for path in folder.rglob("*")}
    assert written <= {"owner_name_main", "trusted_list"} and not (folder.parent / "escaped").exists()


def test_an_archive_must_contain_exactly_one_folder(server, folder):
    publish(server)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("one/hubconf.py", "")
        file.writestr("two/hubconf.py", "")
    server.files["/owner/name/zipball/main"] = (packed.getvalue(), 200)
    with pytest.raises(ValueError, match="should hold one folder, not 2"):
        hub.list("owner/name", trust_repo=True)
    assert not (folder / "owner_name_main").exists()
