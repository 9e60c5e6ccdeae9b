"""What a job goes on from after a crash: the last step that policy and critic both have whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from corl_bench.errors import StorageError
from corl_train.openrlhf.recovery import Mended, mend_checkpoints, whole_checkpoints
from training.openrlhf.checkpoints import EIGHT, ONE, cut_short, save


def mend(folder: Path) -> Mended:
    return mend_checkpoints(folder, EIGHT)


def latest(folder: Path) -> list[str]:
    return [(folder / part / "latest").read_text() for part in ("_actor", "_critic")]


def save_both(folder: Path, *tags: str, latest: str | None = None) -> None:
    for part in ("_actor", "_critic"):
        save(folder / part, *tags, latest=latest)


def test_a_job_that_has_saved_nothing_begins(tmp_path: Path) -> None:
    mended = mend(tmp_path / "checkpoints")
    assert (mended.step, mended.told) == (0, [])
    assert not (tmp_path / "checkpoints").exists()


def test_what_is_whole_is_left_alone(tmp_path: Path) -> None:
    save_both(tmp_path, "global_step10", "global_step20", latest="global_step20")
    assert mend(tmp_path).told == ["going on behind step 20"]
    assert latest(tmp_path) == ["global_step20"] * 2
    assert not list(tmp_path.glob("unfinished*"))


def test_latest_may_name_what_was_deleted_to_make_room(tmp_path: Path) -> None:
    """`save_ckpt` has deleted step 50 and was writing step 60."""
    save_both(tmp_path, "global_step40", "best_global_step20", latest="global_step50")
    for part in ("_actor", "_critic"):
        cut_short(tmp_path / part, "global_step60", lost=3)
    mended = mend(tmp_path)
    assert mended.step == 40
    assert latest(tmp_path) == ["global_step40"] * 2
    assert mended.aside == tmp_path / "unfinished-1"
    assert mended.told[0] == "going on behind step 40"
    assert str(mended.aside) in mended.told[1]
    for part in ("_actor", "_critic"):
        assert (mended.aside / part / "global_step60").is_dir()
        kept = {path.name for path in (tmp_path / part).iterdir()}
        assert kept == {"global_step40", "best_global_step20", "latest"}


@pytest.mark.parametrize("text", ["", "global_step2", None])
def test_latest_may_be_cut_short_itself(tmp_path: Path, text: str | None) -> None:
    save_both(tmp_path, "global_step10", "global_step20", latest="global_step20")
    if text is None:
        (tmp_path / "_critic" / "latest").unlink()
    else:
        (tmp_path / "_critic" / "latest").write_text(text)
    assert mend(tmp_path).step == 20
    assert latest(tmp_path) == ["global_step20"] * 2


def test_latest_is_written_before_all_have_written(tmp_path: Path) -> None:
    """The first GPU does not wait for the others; `metric.json` does."""
    save_both(tmp_path, "global_step10", latest="global_step20")
    save(tmp_path / "_actor", "global_step20")
    cut_short(tmp_path / "_critic", "global_step20")
    assert mend(tmp_path).step == 10


def test_the_last_best_may_be_gone_before_the_next_is_there(tmp_path: Path) -> None:
    save_both(tmp_path, "global_step30", latest="best_global_step35")
    for part in ("_actor", "_critic"):
        cut_short(tmp_path / part, "best_global_step40", lost=1)
    assert mend(tmp_path).step == 30


def test_a_deletion_may_be_cut_short(tmp_path: Path) -> None:
    save_both(tmp_path, "global_step40", "global_step50", latest="global_step50")
    next((tmp_path / "_critic" / "global_step50").glob("*_optim_states.pt")).unlink()
    assert mend(tmp_path).step == 40
    next((tmp_path / "_actor" / "global_step40").glob("*_model_states.pt")).unlink()
    assert mend(tmp_path).step == 0


def test_a_step_and_its_best_are_one_and_the_best_knows_more(tmp_path: Path) -> None:
    save(tmp_path / "_actor", "global_step20", "best_global_step20", latest="global_step20")
    save(tmp_path / "_critic", "global_step20", latest="global_step20")
    assert mend(tmp_path).step == 20
    assert latest(tmp_path) == ["best_global_step20", "global_step20"]


def test_a_critic_that_was_not_saved_takes_the_policy_back(tmp_path: Path) -> None:
    save_both(tmp_path, "global_step10", latest="global_step10")
    save(tmp_path / "_actor", "global_step20", latest="global_step20")
    mended = mend(tmp_path)
    assert mended.step == 10
    assert latest(tmp_path) == ["global_step10"] * 2
    # It would look whole while it is written again.
    assert (tmp_path / "unfinished-1" / "_actor" / "global_step20").is_dir()
    assert not (tmp_path / "_actor" / "global_step20").exists()


def test_what_one_of_them_alone_has_of_old_stays(tmp_path: Path) -> None:
    save_both(tmp_path, "global_step30", latest="global_step30")
    save(tmp_path / "_actor", "best_global_step20")
    assert mend(tmp_path) == Mended(30)
    assert (tmp_path / "_actor" / "best_global_step20").is_dir()


def test_steps_are_numbers_and_no_words(tmp_path: Path) -> None:
    save_both(tmp_path, "global_step90", latest="global_step90")
    save(tmp_path / "_actor", "global_step100", latest="global_step100")
    assert mend(tmp_path).step == 90


def test_every_crash_has_a_place_of_its_own(tmp_path: Path) -> None:
    for number in (1, 2):
        save(tmp_path / "_actor", "global_step10", latest="global_step10")
        cut_short(tmp_path / "_critic", "global_step10")
        mended = mend(tmp_path)
        assert mended == Mended(0, tmp_path / f"unfinished-{number}")
        assert mended.told[0].endswith("the job begins anew")
        # OpenRLHF begins where there is no folder, and ends where it can load nothing from one.
        assert not (tmp_path / "_actor").exists()
        assert not (tmp_path / "_critic").exists()
        assert (tmp_path / f"unfinished-{number}" / "_actor" / "global_step10").is_dir()


def test_a_critic_that_has_never_saved(tmp_path: Path) -> None:
    save(tmp_path / "_actor", "global_step10", latest="global_step10")
    assert mend(tmp_path).step == 0
    assert (tmp_path / "unfinished-1" / "_actor" / "latest").read_text() == "global_step10"


def test_steps_that_nobody_shares_are_put_aside(tmp_path: Path) -> None:
    save(tmp_path / "_actor", "global_step30", latest="global_step30")
    save(tmp_path / "_critic", "global_step10", latest="global_step10")
    assert mend(tmp_path).step == 0
    assert (tmp_path / "unfinished-1" / "_critic" / "latest").read_text() == "global_step10"


def test_a_crash_while_mending_is_mended(tmp_path: Path) -> None:
    save_both(tmp_path, "global_step10", latest="global_step20")
    cut_short(tmp_path / "_actor", "global_step20")
    assert mend(tmp_path).step == 10
    (tmp_path / "_actor" / "latest").write_text("global_step20")
    assert mend(tmp_path) == Mended(10)
    assert latest(tmp_path) == ["global_step10"] * 2


def test_what_cannot_be_mended_is_one_line(tmp_path: Path) -> None:
    save_both(tmp_path, "global_step10", latest="global_step10")
    (tmp_path / "_actor" / "latest").unlink()
    (tmp_path / "_actor" / "latest").mkdir()
    with pytest.raises(StorageError, match=r"latest") as refused:
        mend(tmp_path)
    assert "\n" not in str(refused.value)


def test_one_gpu_keeps_its_weights_in_one_file(tmp_path: Path) -> None:
    save(tmp_path, "global_step10", "global_step20", "best_global_step20", placement=ONE)
    (tmp_path / "global_step30.partial").mkdir()
    tags = ["global_step10", "global_step20", "best_global_step20"]
    assert list(whole_checkpoints(tmp_path, ONE)) == tags
    assert whole_checkpoints(tmp_path, EIGHT) == {}
    shutil.rmtree(tmp_path / "global_step20")
    assert list(whole_checkpoints(tmp_path, ONE).values()) == [10, 20]
