"""The CPU quota of a container is found at any level of its cgroups."""

import pytest

from llm_playground.providers.local.server import quota_cpus, usable_cpus, within_quota


@pytest.fixture
def machine(tmp_path):
    """A /proc and a /sys/fs/cgroup with the given files."""

    def build(membership: str, files: dict[str, str]):
        proc, cgroups = tmp_path / "proc", tmp_path / "cgroup"
        (proc / "self").mkdir(parents=True)
        (proc / "self" / "cgroup").write_text(membership)
        for name, text in files.items():
            file = cgroups / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return proc, cgroups

    return build


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/user/one\n", {"user/one/cpu.max": "max 100000", "user/cpu.max": "50000 100000"}, 0.5),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000", "a/cpu.max": "200000 100000"}, 2.0),
        (
            "4:cpu,cpuacct:/docker/x\n",
            {
                "cpu,cpuacct/cpu.cfs_quota_us": "300000\n",
                "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            3.0,
        ),
        (
            "4:cpu,cpuacct:/\n",
            {"cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
            None,
        ),
        ("0::/\n", {"cpu.max": "nonsense\n"}, None),
        ("", {}, None),
    ],
)
def test_the_tightest_quota_is_found(machine, membership, files, expected):
    assert quota_cpus(*machine(membership, files)) == expected


@pytest.mark.parametrize(
    ("bound", "quota", "expected"), [(8, None, 8), (8, 1.5, 2), (8, 0.1, 1), (2, 16.0, 2)]
)
def test_a_quota_lowers_the_count_to_at_least_one(bound, quota, expected):
    assert within_quota(bound, quota) == expected


def test_a_system_without_proc_has_no_quota(tmp_path):
    assert usable_cpus(tmp_path / "none", tmp_path / "none") >= 1
