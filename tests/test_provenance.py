"""The commit of the working folder, read from a real repository."""

import subprocess
import time

import pytest

from llm_playground import provenance
from llm_playground.provenance import NONE, Revision


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(provenance, "_seen", {})
    monkeypatch.setattr(provenance, "_TIMEOUT_S", 60)
    (tmp_path / "code.py").write_text("1")
    git("init", "-q")
    git("add", ".")
    git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "first")
    return tmp_path


def git(*words):
    done = subprocess.run(["git", *words], check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


def test_a_clean_folder_has_its_commit(repository):
    assert provenance.revision() == Revision(git("rev-parse", "HEAD"), dirty=False)


def test_a_folder_below_belongs_to_it(repository, monkeypatch):
    (repository / "below").mkdir()
    monkeypatch.chdir(repository / "below")

    assert provenance.revision().commit == git("rev-parse", "HEAD")


def test_a_commit_is_seen_at_once(repository):
    before = provenance.revision()
    (repository / "code.py").write_text("2")
    git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qam", "second")

    after = provenance.revision()

    assert after.commit == git("rev-parse", "HEAD") != before.commit


def test_an_edit_is_seen_soon_and_a_new_file_is_none(repository, monkeypatch):
    assert provenance.revision().dirty is False
    (repository / "notes.txt").write_text("untracked")
    (repository / "code.py").write_text("3")
    monkeypatch.setattr(provenance, "_FRESH_S", 0.0)
    time.sleep(0.001)

    assert provenance.revision().dirty is True


def test_outside_a_repository_git_is_not_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(provenance, "_git", lambda *_: pytest.fail("git was asked"))

    assert provenance.revision() == NONE


def test_without_git_nothing_is_known(repository, monkeypatch):
    monkeypatch.setenv("PATH", str(repository))

    assert provenance.revision() == NONE


def test_a_repository_without_a_commit_has_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git("init", "-q")

    assert provenance.revision() == NONE
