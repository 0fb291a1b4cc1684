"""The commit of the working folder, read from real repositories without running a program."""

import os
import subprocess
import sys
import time

import pytest

from llm_playground import provenance

MINE = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
BIG = 3_000_000
LIMIT_S = 3.0  # of this thread's CPU; each takes 3 ms, in quadratic time 9 s


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git("init", "-q", "-b", "main")
    commit("first")
    return tmp_path


def git(*words, **options):
    done = subprocess.run(
        ["git", *words], check=True, capture_output=True, text=True, timeout=300, **options
    )
    return done.stdout.strip()


def commit(text, *words):
    git(*words, *MINE, "commit", "--allow-empty", "-qm", text)


def head(*words):
    return git(*words, "rev-parse", "HEAD")


def test_a_folder_and_those_below_have_the_commit(repository, monkeypatch):
    assert provenance.commit() == head()
    (repository / "below" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(repository / "below" / "deeper")

    assert provenance.commit() == head()


def test_a_commit_is_seen_at_once(repository):
    before = provenance.commit()
    commit("second")

    assert provenance.commit() == head() != before


@pytest.mark.parametrize(
    "words",
    [
        ("checkout", "-q", "--detach"),
        ("pack-refs", "--all"),
        ("checkout", "-qb", "a/branch-of.many_parts+1"),
        ("symbolic-ref", "refs/heads/alias", "refs/heads/main"),
    ],
)
def test_each_state_of_a_repository_is_read(repository, words):
    git(*words)
    if words[0] == "symbolic-ref":
        git("symbolic-ref", "HEAD", "refs/heads/alias")

    assert provenance.commit() == head()


def test_a_repository_of_sha256_has_a_longer_commit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git("init", "-q", "--object-format=sha256")
    commit("first")

    assert provenance.commit() == head()
    assert len(head()) == 64


@pytest.mark.parametrize("relative", [False, True])
def test_a_linked_worktree_has_its_own_commit(repository, tmp_path, monkeypatch, relative):
    git("worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    if relative:
        (tmp_path / "linked" / ".git").write_text("gitdir: ../.git/worktrees/linked\n")
        (tmp_path / ".git/worktrees/linked/gitdir").write_text("../../../linked/.git\n")
    commit("on the other branch", "-C", str(tmp_path / "linked"))
    monkeypatch.chdir(tmp_path / "linked")

    assert provenance.commit() == head() != head("-C", str(repository))


def test_a_submodule_has_its_own_commit(repository, tmp_path_factory, monkeypatch):
    source = tmp_path_factory.mktemp("source")
    git("init", "-q", str(source))
    commit("in the submodule", "-C", str(source))
    git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(source), "sub")
    monkeypatch.chdir(repository / "sub")

    assert provenance.commit() == head() == head("-C", str(source))


def test_no_program_of_a_repository_runs(repository, monkeypatch):
    """fsmonitor, filters, hooks, an alias, an include, a pager, and a git in the folder."""
    trap = repository / "git"
    trap.write_text(f"#!/bin/sh\ntouch {repository}/ran\n")
    trap.chmod(0o755)
    (repository / "code.py").write_text("1")
    git("add", "code.py")
    commit("second")
    expected = head()
    (repository / ".gitattributes").write_text("* filter=trap diff=trap\n")
    (repository / ".git" / "included").write_text(f"[core]\n\tfsmonitor = {trap}\n")
    with (repository / ".git" / "config").open("a") as config:
        config.write(
            f"[core]\n\tfsmonitor = {trap}\n\thooksPath = {repository}\n\tpager = {trap}\n"
            f'[filter "trap"]\n\tclean = {trap}\n\tsmudge = {trap}\n\tprocess = {trap}\n'
            f'[alias]\n\trev-parse = "!{trap}"\n[include]\n\tpath = included\n'
        )
    (repository / "code.py").write_text("2")
    started = []
    sys.addaudithook(lambda event, _: started.append(event) if event in STARTING else None)
    monkeypatch.setenv("PATH", str(repository))

    assert provenance.commit() == expected
    assert not started
    assert not (repository / "ran").exists()


STARTING = {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork"}


def test_outside_a_repository_or_without_a_commit_there_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert provenance.commit() is None
    git("init", "-q")

    assert provenance.commit() is None


def test_reftables_are_not_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/.invalid\n")
    (tmp_path / ".git" / "reftable").mkdir()

    assert provenance.commit() is None


def test_a_repository_of_another_user_is_not_read(repository, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: repository.stat().st_uid + 1)

    assert provenance.commit() is None


def fifo(path):
    path.unlink()
    os.mkfifo(path)


def link(path):
    target = path.with_name(f"{path.name}-elsewhere")
    path.rename(target)
    path.symlink_to(target)


def write(content):
    return lambda path: path.write_text(content)


def device(path):
    path.unlink()
    path.symlink_to("/dev/zero")


ABSENT = "refs/heads/absent"


@pytest.mark.parametrize("name", ["HEAD", "refs/heads/main"])
@pytest.mark.parametrize(
    "change",
    [
        fifo,
        link,
        device,
        write("a" * BIG),
        write("ref: ../../secret"),
        write("ref: refs/../../secret"),
        write("ref: /etc/hostname"),
        write(f"ref: {ABSENT}"),
        write("ref: refs/heads/x\0y"),
        write("0" * 41),
        write("\udcff".encode("utf-8", "surrogatepass").decode("latin-1")),
        write(""),
    ],
)
def test_a_file_that_git_would_not_write_is_no_commit(repository, name, change):
    (repository / "secret").write_text("a" * 40)
    change(repository / ".git" / name)

    assert provenance.commit() is None


@pytest.mark.parametrize("length", [1, 2, 7])
def test_references_in_a_circle_have_no_commit(repository, length):
    heads = repository / ".git" / "refs" / "heads"
    (heads / "main").write_text("ref: refs/heads/0\n")
    for n in range(length):
        (heads / str(n)).write_text(f"ref: refs/heads/{(n + 1) % length}\n")

    assert provenance.commit() is None


def test_packed_references_are_bounded_and_not_a_pipe(repository):
    git("pack-refs", "--all")
    packed = repository / ".git" / "packed-refs"
    with packed.open("r+b") as file:
        file.truncate(1 << 40)  # sparse
    assert provenance.commit() is None
    fifo(packed)

    assert provenance.commit() is None


@pytest.mark.parametrize(
    "target",
    ["{other}/.git", "{other}/.git/worktrees/fake", "../other/.git", "/dev", "", "\0", "{other}"],
)
def test_a_git_file_without_a_link_back_is_not_followed(repository, tmp_path, monkeypatch, target):
    other, folder = tmp_path / "other", tmp_path / "folder"
    other.mkdir()
    folder.mkdir()
    git("init", "-q", str(other))
    commit("of another repository", "-C", str(other))
    git("-C", str(other), "worktree", "add", "-q", str(tmp_path / "fake"))
    (folder / ".git").write_text(f"gitdir: {target.format(other=other)}\n")
    monkeypatch.chdir(folder)

    assert provenance.commit() is None


@pytest.mark.parametrize(
    "filler", ["\n", " \n", "\r", " ", "\t\n", "\nworktree = a", "\nworktree =  "]
)
@pytest.mark.parametrize("setting", ["", "worktree", "worktree = a"])
def test_no_configuration_keeps_a_call(repository, monkeypatch, filler, setting):
    folder = repository / "sub"
    (folder / "own").mkdir(parents=True)
    (folder / ".git").write_text("gitdir: own")
    (folder / "own" / "config").write_text(f"x\n{setting}{filler * (60_000 // len(filler))}x")
    monkeypatch.chdir(folder)

    started_s = time.thread_time()
    assert provenance.commit() is None
    assert time.thread_time() - started_s < LIMIT_S


@pytest.mark.parametrize("kind", ["fifo", "link", "socket"])
def test_a_git_entry_of_another_kind_is_not_followed(repository, tmp_path, monkeypatch, kind):
    folder = tmp_path / "folder"
    folder.mkdir()
    if kind == "fifo":
        os.mkfifo(folder / ".git")
    elif kind == "socket":
        os.mknod(folder / ".git", 0o140600)
    else:
        (folder / ".git").symlink_to(repository / ".git")
    monkeypatch.chdir(folder)

    assert provenance.commit() is None
