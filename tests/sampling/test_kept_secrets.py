import stat
from concurrent.futures import ThreadPoolExecutor

from sampling.kept_secrets import kept_secret


def test_the_secret_is_made_once_and_kept(tmp_path):
    made = kept_secret(tmp_path / "var" / "secret_key")
    assert len(made) > 50
    assert kept_secret(tmp_path / "var" / "secret_key") == made


def test_processes_that_start_together_agree_on_one_secret(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        seen = set(pool.map(lambda number: kept_secret(tmp_path / "secret_key"), range(64)))
    assert len(seen) == 1
    assert seen.pop()
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_only_its_owner_reads_the_secret(tmp_path):
    kept_secret(tmp_path / "secret_key")
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600
