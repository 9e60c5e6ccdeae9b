"""What a job goes on from after a crash: the last step that policy and critic both have."""

from __future__ import annotations

from pathlib import Path

from corl_train.openrlhf.recovery import mend_checkpoints


def save(folder: Path, part: str, *tags: str, latest: str | None) -> None:
    for tag in tags:
        (folder / part / tag).mkdir(parents=True)
    if latest is not None:
        (folder / part / "latest").write_text(latest)


def latest(folder: Path) -> list[str]:
    return [(folder / part / "latest").read_text() for part in ("_actor", "_critic")]


def test_a_job_that_has_saved_nothing_begins(tmp_path: Path) -> None:
    assert mend_checkpoints(tmp_path / "checkpoints") == 0
    assert not (tmp_path / "checkpoints").exists()


def test_what_is_whole_is_left_alone(tmp_path: Path) -> None:
    save(tmp_path, "_actor", "global_step10", "global_step20", latest="global_step20")
    save(tmp_path, "_critic", "global_step10", "global_step20", latest="global_step20")
    assert mend_checkpoints(tmp_path) == 20
    assert latest(tmp_path) == ["global_step20"] * 2


def test_the_best_of_a_step_and_the_step_are_one(tmp_path: Path) -> None:
    save(tmp_path, "_actor", "global_step20", "best_global_step20", latest="best_global_step20")
    save(tmp_path, "_critic", "global_step20", latest="global_step20")
    assert mend_checkpoints(tmp_path) == 20
    assert latest(tmp_path) == ["best_global_step20", "global_step20"]


def test_a_critic_that_was_not_saved_takes_the_policy_back(tmp_path: Path) -> None:
    save(tmp_path, "_actor", "global_step10", "global_step20", latest="global_step20")
    save(tmp_path, "_critic", "global_step10", "global_step20", latest="global_step10")
    assert mend_checkpoints(tmp_path) == 10
    assert latest(tmp_path) == ["global_step10"] * 2


def test_steps_are_numbers_and_no_words(tmp_path: Path) -> None:
    save(tmp_path, "_actor", "global_step90", "global_step100", latest="global_step100")
    save(tmp_path, "_critic", "global_step90", latest="global_step90")
    assert mend_checkpoints(tmp_path) == 90


def test_the_first_checkpoint_cut_short_is_put_aside(tmp_path: Path) -> None:
    for number in (1, 2):
        save(tmp_path, "_actor", "global_step10", latest="global_step10")
        save(tmp_path, "_critic", "global_step10", latest=None)
        assert mend_checkpoints(tmp_path) == 0
        assert not (tmp_path / "_actor").exists()
        assert not (tmp_path / "_critic").exists()
        assert (tmp_path / f"unfinished-{number}_actor" / "global_step10").is_dir()


def test_steps_that_nobody_shares_are_put_aside(tmp_path: Path) -> None:
    save(tmp_path, "_actor", "global_step30", latest="global_step30")
    save(tmp_path, "_critic", "global_step10", latest="global_step10")
    assert mend_checkpoints(tmp_path) == 0
    assert (tmp_path / "unfinished-1_critic" / "latest").read_text() == "global_step10"
